import type { FileAccess, Tenant } from '@coffer/files-db';
import { storageError } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';
import { assertHeaderNames, decideTenant } from '@coffer/tenancy';

import type { AppContext } from './app-env.ts';
import type { Services } from './services.ts';

/** What a request may touch. */
export interface Scope {
  readonly access: FileAccess;
  readonly tenant: Tenant | undefined;
  readonly ctx: CallContext;
}

/**
 * The tenant that a request acts for: the token's, or for admins and services the one that X-Tenant-ID names.
 * @throws tenant_mismatch, tenant_not_found, tenant_context_required
 */
async function tenantOf(c: AppContext, { runtime }: Services): Promise<Tenant | undefined> {
  const { role, claimed } = c.var.identity;
  const header = c.env.incoming.headers['x-tenant-id'];
  const decision = decideTenant({ role, claimed, header: typeof header === 'string' ? header : undefined });
  switch (decision.kind) {
    case 'none':
      return undefined;
    case 'named':
      return runtime.tenants.find(decision.id);
    case 'claimed': {
      const tenant = await runtime.tenants.resolve(decision.tenant);
      assertHeaderNames(decision, tenant);
      return tenant;
    }
  }
}

/** The scope of a request to the files API or to objects. @throws tenant_mismatch, tenant_not_found, tenant_context_required */
export async function scopeOf(c: AppContext, services: Services): Promise<Scope> {
  const { exchange } = c.env;
  const { subject, role } = c.var.identity;
  const tenant = await tenantOf(c, services);
  if (tenant === undefined && role !== 'admin' && services.runtime.config.storage.requireTenantContext) {
    throw storageError('tenant_context_required', 'This deployment needs a tenant: use a token that names one.');
  }
  if (tenant !== undefined) exchange.tenant = tenant.tenantSlug;
  return {
    access: { subject, role, tenant: tenant?.tenantUuid },
    tenant,
    ctx: { requestId: exchange.requestId, signal: exchange.signal, ...(tenant !== undefined && { tenant: tenant.tenantSlug }) },
  };
}

/** The context of a call that belongs to no tenant. */
export function contextOf(c: AppContext): CallContext {
  const { requestId, signal } = c.env.exchange;
  return { requestId, signal };
}

/**
 * The bucket that an object route works on: admins may name any, a service only one of its tenant's. A bucket that all tenants share
 * belongs to no tenant, so a service may not use it.
 * @throws forbidden, tenant_context_required, storage_not_configured, invalid_bucket_name
 */
export async function bucketOf(scope: Scope, { runtime }: Services, explicit: string | undefined): Promise<string> {
  const { tenant, access, ctx } = scope;
  if (access.role !== 'admin') await assertOwnBucket(scope, runtime, explicit);
  return (await runtime.storage.resolveBucket({ bucket: explicit, tenant }, ctx)).bucket;
}

async function assertOwnBucket(
  { tenant, ctx }: Scope,
  { config, tenants }: Services['runtime'],
  explicit: string | undefined,
): Promise<void> {
  if (tenant === undefined) throw storageError('tenant_context_required', 'Name the tenant with X-Tenant-ID.');
  if (explicit === undefined && config.storage.multiTenancy) return; // resolves to the tenant's own
  if (explicit !== undefined && tenant.buckets.includes(explicit)) return;
  // The bucket that the tenant gets on first use already counts as its own.
  const isFirst = config.storage.multiTenancy && explicit === (await tenants.bucketFor(tenant, ctx));
  if (isFirst) return;
  // What is remembered of the tenant may be older than the bucket, if another process has given it to the tenant.
  const isOwn = explicit !== undefined && (await tenants.read(tenant.tenantUuid)).buckets.includes(explicit);
  if (!isOwn) throw storageError('forbidden', "That bucket is not one of the tenant's.");
}
