import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { refusal } from './testing/refusal.ts';
import { roleOf, tenantFromClaims } from './index.ts';

const acme = { tenantUuid: 'abc-123-def', tenantSlug: 'acme' };
const pair = { tenant_uuid: 'abc-123-def', tenant_slug: 'acme' };
const other = { tenant_uuid: 'other', tenant_slug: 'other' };

describe('roleOf', () => {
  it.each([
    [{}, 'user'],
    [{ roles: [] }, 'user'],
    [{ roles: ['reader'] }, 'user'],
    [{ roles: ['service'] }, 'service'],
    [{ roles: ['service', 'admin'] }, 'admin'],
    [{ scope: 'files service' }, 'service'],
    [{ scope: 'admin service' }, 'admin'],
    [{ roles: ['service'], scope: 'admin' }, 'admin'],
    [{ roles: 'admin' }, 'user'],
    [{ roles: { admin: true } }, 'user'],
    [{ roles: ['Admin', 'admin ', ['admin'], null] }, 'user'],
    [{ scope: ['admin'] }, 'user'],
    [{ scope: 'administrator,admin' }, 'user'],
    [Object.create({ roles: ['admin'] }) as Record<string, unknown>, 'user'],
  ])('%j is a %s', (claims, role) => {
    expect(roleOf(claims)).toBe(role);
  });
});

describe('tenantFromClaims', () => {
  it('finds the tenant under metadata, and keeps what else is there', () => {
    expect(tenantFromClaims({ sub: 'u', metadata: { ...pair, plan: 'gold' } })).toEqual({ ...acme, metadata: { plan: 'gold' } });
  });

  it('looks at the named claim, then app_metadata, then the top level', () => {
    expect(
      tenantFromClaims({ 'https://acme.example/tenant': pair, app_metadata: other, ...other }, 'https://acme.example/tenant'),
    ).toMatchObject(acme);
    expect(tenantFromClaims({ metadata: { plan: 'gold' }, app_metadata: pair, ...other })).toMatchObject(acme);
    expect(tenantFromClaims({ metadata: null, app_metadata: 'text', ...pair })).toEqual(acme);
    expect(tenantFromClaims({ metadata: pair }, 'tenant')).toBeUndefined();
  });

  it('spells a real UUID in lower case, so that one tenant has one identity', () => {
    const tenant_uuid = '9F1C2B7A-3D4E-4F50-8A6B-7C8D9E0F1A2B';
    expect(tenantFromClaims({ tenant_uuid, tenant_slug: 'Acme' })).toEqual({ tenantUuid: tenant_uuid.toLowerCase(), tenantSlug: 'Acme' });
  });

  it.each([{}, { sub: 'u' }, { metadata: {} }, { metadata: undefined }, { app_metadata: [] }])('%j has no tenant', (claims) => {
    expect(tenantFromClaims(claims)).toBeUndefined();
  });

  it.each([
    [{ metadata: { tenant_uuid: 'a' } }, 'without tenant_slug'],
    [{ metadata: { tenant_slug: 'a' }, ...pair }, 'without tenant_uuid'],
    [{ app_metadata: { tenant_slug: 'a' } }, 'without tenant_uuid'],
    [{ tenant_uuid: 'a' }, 'without tenant_slug'],
    [{ metadata: { tenant_uuid: null, tenant_slug: null } }, 'tenant_uuid is not a string'],
    [{ metadata: { tenant_uuid: 7, tenant_slug: 'a' } }, 'tenant_uuid is not a string'],
    [{ metadata: { tenant_uuid: 'a', tenant_slug: ['a'] } }, 'tenant_slug is not a string'],
    [{ metadata: { tenant_uuid: '', tenant_slug: 'a' } }, 'tenant_uuid is malformed'],
    [{ metadata: { tenant_uuid: 'a', tenant_slug: 'a\nb' } }, 'tenant_slug is malformed'],
    [{ metadata: { tenant_uuid: 'a', tenant_slug: 'x'.repeat(129) } }, 'at most 128 characters'],
    [{ metadata: 'acme' }, 'claim "metadata" is not an object'],
    [{ metadata: [pair] }, 'claim "metadata" is not an object'],
  ])('%j is unauthorized, never "no tenant"', (claims, reason) => {
    const said = refusal(() => tenantFromClaims(claims));
    expect(said).toMatch(/^unauthorized: /);
    expect(said).toContain(reason);
  });

  it('takes nothing from prototypes', () => {
    expect(tenantFromClaims(Object.create({ metadata: pair }) as Record<string, unknown>)).toBeUndefined();
    expect(tenantFromClaims({}, 'constructor')).toBeUndefined();
    expect(
      tenantFromClaims(JSON.parse('{"metadata":{"__proto__":{"tenant_uuid":"a","tenant_slug":"a"}}}') as Record<string, unknown>),
    ).toBeUndefined();
  });

  it('answers any claims with a whole tenant, none, or unauthorized', () => {
    fc.assert(
      fc.property(fc.object({ key: fc.constantFrom('metadata', 'app_metadata', 'tenant_uuid', 'tenant_slug', 'x') }), (claims) => {
        const said = refusal(() => tenantFromClaims(claims));
        if (typeof said === 'string') expect(said).toMatch(/^unauthorized: /);
        else
          expect(said).toSatisfy(
            ({ returned }: { returned?: typeof acme }) =>
              returned === undefined || (returned.tenantSlug !== '' && returned.tenantUuid !== ''),
          );
      }),
    );
  });
});
