import type { Config, Runtime } from '@coffer/runtime';

import type { TokenVerifierOptions } from './token-verifier.ts';

/** What tokens are checked against: the configured keys, else the secret that Coffer made itself. */
export function authOptions({ auth }: Config, { generatedSecret }: Pick<Runtime, 'generatedSecret'>): TokenVerifierOptions {
  const { secret = generatedSecret, jwksUrl, jwksFile, issuer, audience, tenantClaim } = auth;
  return {
    tenantClaim,
    ...(secret !== undefined && { secret }),
    ...(jwksUrl !== undefined && { jwksUrl }),
    ...(jwksFile !== undefined && { jwksFile }),
    ...(issuer !== undefined && { issuer }),
    ...(audience !== undefined && { audience }),
  };
}
