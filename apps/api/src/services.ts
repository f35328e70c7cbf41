import type { Runtime } from '@coffer/runtime';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';

import type { TokenVerifier } from './auth/token-verifier.ts';

/** What routes are given. */
export interface Services {
  readonly runtime: Runtime;
  readonly verify: TokenVerifier;
  readonly registry: Registry;
  readonly log: Logger;
  /** True once the process was asked to stop. */
  readonly stopping: () => boolean;
}
