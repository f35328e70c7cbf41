import { SignJWT } from 'jose';

export const secret = 'a-secret-for-tests-that-is-long-enough';

export interface TestTenant {
  readonly uuid: string;
  readonly slug: string;
}

export const acme: TestTenant = { uuid: 'b1946ac9-2492-4d23-8f5c-6a3f0a1c9e55', slug: 'acme' };
export const globex: TestTenant = { uuid: '591785b7-94b1-4c5a-a5d4-6f1b2c3d4e5f', slug: 'globex' };

/** A bearer token, as a headers object. */
export async function as(
  subject: string,
  options: { readonly tenant?: TestTenant; readonly roles?: readonly string[] } = {},
): Promise<{ authorization: string }> {
  const { tenant, roles } = options;
  const token = await new SignJWT({
    ...(roles !== undefined && { roles }),
    ...(tenant !== undefined && { metadata: { tenant_uuid: tenant.uuid, tenant_slug: tenant.slug } }),
  })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(subject)
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(secret));
  return { authorization: `Bearer ${token}` };
}

export const admin = (): Promise<{ authorization: string }> => as('root', { roles: ['admin'] });
export const service = (): Promise<{ authorization: string }> => as('worker', { roles: ['service'] });
