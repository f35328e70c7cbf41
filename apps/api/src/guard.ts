import { storageError } from '@coffer/storage-core';

import type { AppContext } from './app-env.ts';
import type { Identity } from './auth/identity.ts';
import { bearerToken } from './auth/token-verifier.ts';
import type { Services } from './services.ts';

/** Who may use a route, and whether the route needs storage to be enabled. */
export interface Access {
  /** `service` means admins and services, `user` everyone with a valid token, `anybody` needs no token. */
  readonly role: 'anybody' | 'user' | 'service' | 'admin';
  readonly needsStorage: boolean;
}

/** Lets a request pass to its route, or throws unauthorized, forbidden or storage_not_configured. */
export function guard({ verify, runtime }: Services): (c: AppContext, access: Access) => Promise<void> {
  const { enabled } = runtime.config.storage;
  return async (c, { role, needsStorage }) => {
    if (role !== 'anybody') {
      const { exchange } = c.env;
      const identity = await verify(bearerToken(exchange.incoming.headers.authorization));
      exchange.subject = identity.subject;
      assertRole(identity, role);
      c.set('identity', identity);
    }
    if (needsStorage && !enabled) throw storageOff();
  };
}

export function storageOff(): Error {
  return storageError('storage_not_configured', 'Storage is switched off here (STORAGE_ENABLED=false).');
}

function assertRole({ role }: Identity, needed: 'user' | 'service' | 'admin'): void {
  if (needed === 'user' || role === 'admin' || role === needed) return;
  throw storageError('forbidden', needed === 'admin' ? 'This needs the role admin.' : 'This needs the role admin or service.');
}
