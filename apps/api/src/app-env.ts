import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';

import type { Identity } from './auth/identity.ts';
import type { Exchange } from './exchange.ts';

/** What handlers find on Hono's context. */
export interface AppEnv {
  Bindings: HttpBindings & { readonly exchange: Exchange };
  Variables: { identity: Identity };
}

export type AppContext = Context<AppEnv>;
