import { SignJWT } from 'jose';

/** The secret with which the API server and the peers verify tokens. */
export const jwtSecret = 'a-secret-of-the-benchmarks-and-nobody-else';

const benchTenant = { tenant_uuid: '7f4df2a0-6f1e-4f0a-9d58-1c0c7b0f2a11', tenant_slug: 'bench' };

/** The header for a user of one tenant. */
export async function asUser(tenant = benchTenant): Promise<Readonly<Record<string, string>>> {
  return bearer('bench-user', { metadata: tenant });
}

/** The header for an administrator. */
export async function asAdmin(): Promise<Readonly<Record<string, string>>> {
  return bearer('bench-admin', { roles: ['admin'] });
}

async function bearer(subject: string, claims: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, string>>> {
  const token = await new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(subject)
    .setIssuedAt()
    .setExpirationTime('2h')
    .sign(new TextEncoder().encode(jwtSecret));
  return { authorization: `Bearer ${token}` };
}
