import type { Config, Runtime } from '@coffer/runtime';

import type { TokenVerifierOptions } from './token-verifier.ts';

/** What tokens are verified against: the configured keys, or the secret that Coffer generated because there are none. */
export function authOptions({ auth }: Config, { generatedSecret }: Pick<Runtime, 'generatedSecret'>): TokenVerifierOptions {
  return generatedSecret === undefined ? auth : { ...auth, secret: generatedSecret };
}
