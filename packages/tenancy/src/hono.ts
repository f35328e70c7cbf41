import { canonicalTenantUuid, storageError } from '@coffer/storage-core';
import type { TenantContext } from '@coffer/storage-core';
import type { Context, MiddlewareHandler } from 'hono';

import { isRecord, roleOf, tenantFromClaims } from './claims.ts';
import type { Claims, Role } from './claims.ts';
import { assertHeaderNames, decideTenant } from './tenant-header.ts';
import type { TenantDecision } from './tenant-header.ts';

/** What `tenantContext` adds to `c.var`. */
export interface TenantVariables {
  /** The tenant of the request; undefined when it has none. */
  tenant: TenantContext | undefined;
}

/** Where the middleware finds what determines the tenant. */
export interface TenantContextOptions {
  /** The claims object of the request's token, or a promise of it, verified by earlier middleware; undefined when there is no token. */
  readonly claims: (c: Context) => unknown;
  /** The claim that holds `tenant_uuid` and `tenant_slug`. Default `metadata`. */
  readonly claim?: string;
  /** Default: from the claims `roles` and `scope`. Anything other than `admin` or `service` counts as a user. */
  readonly role?: (c: Context) => Role;
  /** Finds the registered tenant with this uuid or slug. Without it, X-Tenant-ID of an admin or a service is 404. */
  readonly lookup?: (id: string) => Promise<TenantContext | undefined>;
  /**
   * Turns the token's tenant into the registered one, and throws `tenant_mismatch` if it is another's; a token for which it gives none is
   * refused. Default: a tenant that `lookup` finds must be the same pair; one that it does not find is taken from the token.
   */
  readonly register?: (tenant: TenantContext) => Promise<TenantContext>;
  /** Refuse requests without a tenant. Default false. */
  readonly required?: boolean;
}

/**
 * Middleware that determines the tenant of a request and sets `c.var.tenant`. Mount it behind whatever verifies tokens.
 * @throws StorageError, for the application's `onError`: unauthorized, validation_failed, tenant_context_required, tenant_mismatch,
 * tenant_not_found
 */
export function tenantContext(options: TenantContextOptions): MiddlewareHandler<{ Variables: TenantVariables }> {
  return async (c, next) => {
    const claims = claimsOf(await options.claims(c)); // a promise would be an object without claims
    const decision = decideTenant({
      role: options.role?.(c) ?? roleOf(claims),
      claimed: tenantFromClaims(claims, options.claim),
      header: c.req.header('x-tenant-id'),
    });
    const tenant = await resolve(decision, options);
    if (tenant === undefined && options.required === true) {
      throw storageError('tenant_context_required', 'This request needs a tenant, and its token has none.');
    }
    c.set('tenant', tenant);
    await next();
  };
}

function claimsOf(value: unknown): Claims {
  if (value === undefined || value === null) return {};
  if (isRecord(value)) return value;
  throw storageError('unauthorized', "The token's claims are not an object.");
}

async function resolve(decision: TenantDecision, options: TenantContextOptions): Promise<TenantContext | undefined> {
  if (decision.kind === 'none') return undefined;
  if (decision.kind === 'named') {
    const tenant = await found(decision.id, options);
    if (tenant === undefined) throw storageError('tenant_not_found', 'There is no tenant with the uuid or slug in X-Tenant-ID.');
    return tenant;
  }
  const tenant = await registered(decision.tenant, options);
  assertHeaderNames(decision, tenant);
  return tenant;
}

async function registered(claimed: TenantContext, options: TenantContextOptions): Promise<TenantContext> {
  if (options.register !== undefined) {
    const tenant: TenantContext | null | undefined = await options.register(claimed); // see `found`
    if (tenant === undefined || tenant === null) throw storageError('tenant_not_found', "The token's tenant is not registered.");
    return tenant;
  }
  const stored = (await found(claimed.tenantUuid, options)) ?? (await found(claimed.tenantSlug, options));
  if (stored === undefined) return claimed;
  if (stored.tenantSlug !== claimed.tenantSlug || canonicalTenantUuid(stored.tenantUuid) !== claimed.tenantUuid) {
    throw storageError('tenant_mismatch', "The token's tenant_uuid and tenant_slug are not the registered pair.");
  }
  return { ...claimed, ...stored };
}

/** Databases often say null for what is not there. Taken for a tenant, it would let the request through without one. */
async function found(id: string, { lookup }: TenantContextOptions): Promise<TenantContext | undefined> {
  return (await lookup?.(id)) ?? undefined;
}
