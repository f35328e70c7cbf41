import { isStorageError } from '@coffer/storage-core';
import { Hono } from 'hono';
import { describe, expect, it } from 'vitest';

import type { TenantContext } from './index.ts';
import { tenantContext } from './hono.ts';
import type { TenantContextOptions, TenantVariables } from './hono.ts';

const acme = { tenantUuid: 'u-acme', tenantSlug: 'acme' };
const tenants: readonly TenantContext[] = [acme, { tenantUuid: 'u-beta', tenantSlug: 'beta' }];
const lookup = async (id: string): Promise<TenantContext | undefined> =>
  tenants.find(({ tenantUuid }) => tenantUuid === id) ?? tenants.find(({ tenantSlug }) => tenantSlug === id);

const token = (tenant: TenantContext, roles: string[] = []): Record<string, unknown> => ({
  roles,
  metadata: { tenant_uuid: tenant.tenantUuid, tenant_slug: tenant.tenantSlug },
});

/** An app behind something that has verified tokens. It answers with the tenant's uuid, `-` without one, or the error's code. */
async function ask(claims: unknown, header?: string, options: Partial<TenantContextOptions> = { lookup }): Promise<string> {
  const app = new Hono<{ Variables: TenantVariables & { jwtPayload: unknown } }>();
  app.use(async (c, next) => {
    c.set('jwtPayload', claims);
    await next();
  });
  app.use(tenantContext({ claims: (c) => c.var.jwtPayload, ...options }));
  app.get('/', (c) => c.text(c.var.tenant?.tenantUuid ?? '-'));
  app.onError((error, c) => c.text(isStorageError(error) ? error.code : String(error)));
  const response = await app.request('/', { headers: header === undefined ? {} : { 'X-Tenant-ID': header } });
  return response.text();
}

describe('tenantContext', () => {
  it.each([
    ['no token', undefined, undefined, '-'],
    ['no token, with header', undefined, 'acme', 'tenant_mismatch'],
    ['a user', token(acme), undefined, 'u-acme'],
    ['a user who repeats his slug', token(acme), 'acme', 'u-acme'],
    ['a user who repeats his uuid', token(acme), 'u-acme', 'u-acme'],
    ['a user who names another tenant', token(acme), 'beta', 'tenant_mismatch'],
    ['a user who names a tenant that is not there', token(acme), 'nobody', 'tenant_mismatch'],
    ["one tenant's uuid with another's slug", token({ tenantUuid: 'u-acme', tenantSlug: 'beta' }), undefined, 'tenant_mismatch'],
    ["a uuid with a slug that is nobody's", token({ tenantUuid: 'u-acme', tenantSlug: 'new' }), undefined, 'tenant_mismatch'],
    ["a new uuid with another's slug", token({ tenantUuid: 'u-new', tenantSlug: 'beta' }), undefined, 'tenant_mismatch'],
    ['a user of a new tenant', token({ tenantUuid: 'u-new', tenantSlug: 'new' }), 'new', 'u-new'],
    ['claims that are no object', 'admin', undefined, 'unauthorized'],
    ['half a tenant', { metadata: { tenant_slug: 'acme' } }, undefined, 'unauthorized'],
    ['a service', { roles: ['service'] }, 'beta', 'u-beta'],
    ['a service without header', token(acme, ['service']), undefined, 'tenant_context_required'],
    ['a service that names a tenant that is not there', { roles: ['service'] }, 'nobody', 'tenant_not_found'],
    ['an admin', { scope: 'admin' }, undefined, '-'],
    ['an admin with a tenant', token(acme, ['admin']), undefined, 'u-acme'],
    ['an admin who names another', token(acme, ['admin']), 'u-beta', 'u-beta'],
    ['a malformed header', { scope: 'admin' }, 'x'.repeat(129), 'validation_failed'],
  ])('%s', async (_name, claims, header, expected) => {
    expect(await ask(claims, header)).toBe(expected);
  });

  it('waits for claims that come later, and passes on why they do not: the request would be one without a tenant', async () => {
    expect(await ask(undefined, undefined, { claims: async () => token(acme) })).toBe('u-acme');
    expect(await ask(undefined, undefined, { claims: () => Promise.reject(new Error('no keys')) })).toBe('Error: no keys');
  });

  it('takes null from a lookup for a tenant that is not there, as databases say it', async () => {
    const nothing = async (): Promise<TenantContext | undefined> => null as unknown as undefined;
    expect(await ask({ roles: ['service'] }, 'nobody', { lookup: nothing, required: true })).toBe('tenant_not_found');
    expect(await ask(token(acme), undefined, { lookup: nothing })).toBe('u-acme');
  });

  it('without a lookup the token is all there is', async () => {
    expect(await ask(token(acme), 'acme', {})).toBe('u-acme');
    expect(await ask({ scope: 'admin' }, 'acme', {})).toBe('tenant_not_found');
  });

  it('register has the last word on a token, whose former slug the header may repeat', async () => {
    const register = async (tenant: TenantContext): Promise<TenantContext> => ({ ...tenant, tenantSlug: 'renamed' });
    expect(await ask(token(acme), 'acme', { lookup, register })).toBe('u-acme');
    expect(await ask(token(acme), 'renamed', { lookup, register })).toBe('u-acme');
    expect(await ask(token(acme), 'beta', { lookup, register })).toBe('tenant_mismatch');
  });

  it.each([null, undefined])('refuses a token for which register gives %s: the request would be one without a tenant', async (nothing) => {
    const register = async (): Promise<TenantContext> => nothing as unknown as TenantContext;
    expect(await ask(token(acme), undefined, { register })).toBe('tenant_not_found');
    expect(await ask(token(acme), 'acme', { register, required: true })).toBe('tenant_not_found');
  });

  it('required, claim and role', async () => {
    expect(await ask(undefined, undefined, { required: true })).toBe('tenant_context_required');
    expect(await ask({ org: { tenant_uuid: 'o', tenant_slug: 'o' } }, undefined, { claim: 'org' })).toBe('o');
    expect(await ask({}, 'beta', { lookup, role: () => 'service' })).toBe('u-beta');
    expect(await ask(token(acme), 'beta', { lookup, role: () => 'editor' as never })).toBe('tenant_mismatch');
  });
});
