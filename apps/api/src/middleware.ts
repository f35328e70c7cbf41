import type { MiddlewareHandler } from 'hono';

import { storageError } from '@coffer/storage-core';

import type { AppEnv } from './app-env.ts';
import type { Role } from './auth/identity.ts';
import { bearerToken } from './auth/token-verifier.ts';
import type { Services } from './services.ts';

/** Lets only requests with a good token pass. */
export function authenticate({ verify }: Services): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const identity = await verify(bearerToken(c.env.incoming.headers.authorization));
    c.set('identity', identity);
    c.env.exchange.subject = identity.subject;
    await next();
  };
}

/** Lets only these roles pass. */
export function allow(...roles: readonly Role[]): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    if (!roles.includes(c.var.identity.role)) {
      throw storageError('forbidden', `This needs the role ${roles.join(' or ')}.`);
    }
    await next();
  };
}

/** Answers for all storage while it is switched off. */
export function storageEnabled({ runtime }: Services): MiddlewareHandler<AppEnv> {
  const { enabled } = runtime.config.storage;
  return async (_c, next) => {
    if (!enabled) throw storageError('storage_not_configured', 'Storage is switched off here (STORAGE_ENABLED=false).');
    await next();
  };
}
