import type { AuthConfig } from '@coffer/runtime';
import { SignJWT } from 'jose';

const demoTenant = { tenant_uuid: '4c0ffe2a-0000-4000-8000-000000000001', tenant_slug: 'demo' };
const lifetime = '30d';

/** The welcome text with commands to paste. Only shown when Coffer generated the signing secret itself. */
export async function welcome(options: {
  readonly url: string;
  readonly secret: Uint8Array;
  /** What tokens must be like. */
  readonly auth: Pick<AuthConfig, 'issuer' | 'audience' | 'tenantClaim'>;
}): Promise<string> {
  const { url, secret, auth } = options;
  const { issuer, audience, tenantClaim } = auth;
  const sign = (claims: Record<string, unknown>, subject: string): Promise<string> => {
    const token = new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).setSubject(subject).setIssuedAt().setExpirationTime(lifetime);
    if (issuer !== undefined) token.setIssuer(issuer);
    if (audience !== undefined) token.setAudience(audience);
    return token.sign(secret);
  };
  const admin = await sign({ roles: ['admin'] }, 'admin');
  const tenant = await sign({ [tenantClaim]: demoTenant }, 'demo-user');
  return `
Coffer is ready.

  API    ${url}
  Docs   ${url}/docs

Tokens, good for 30 days and only for this data directory:

  export COFFER_ADMIN_TOKEN=${admin}
  export COFFER_TOKEN=${tenant}

Try it:

  echo 'Hello, Coffer' > hello.txt
  curl -H "Authorization: Bearer ${tenant}" -F file=@hello.txt ${url}/api/v1/files/upload
  curl -H "Authorization: Bearer ${tenant}" ${url}/api/v1/files
  curl -H "Authorization: Bearer ${admin}" ${url}/api/v1/storage/buckets

Ctrl-C stops everything.
`;
}
