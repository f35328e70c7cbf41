import { describe, expect, it } from 'vitest';

import { tokenVerifier } from './auth/token-verifier.ts';
import { welcome } from './banner.ts';

describe('the tokens of the welcome text', () => {
  it.each([
    { tenantClaim: 'metadata' },
    { tenantClaim: 'org' },
    { tenantClaim: 'https://id.example/tenant', issuer: 'https://id.example/', audience: 'coffer' },
  ])('are an administrator and a tenant where tokens must be like %j', async (auth) => {
    const secret = Buffer.from('a-secret-for-tests-that-is-long-enough');
    const text = await welcome({ url: 'http://localhost:8080', secret, auth });
    const verify = tokenVerifier({ ...auth, secret });
    const identityOf = (name: string): unknown => verify(new RegExp(`export ${name}=(\\S+)`).exec(text)?.[1] ?? '');
    expect(await identityOf('COFFER_ADMIN_TOKEN')).toMatchObject({ role: 'admin', claimed: undefined });
    expect(await identityOf('COFFER_TOKEN')).toMatchObject({ role: 'user', claimed: { tenantSlug: 'demo' } });
  });
});
