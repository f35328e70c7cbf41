import { canonicalTenantUuid, storageError, tenantNameProblem } from '@coffer/storage-core';
import type { TenantContext } from '@coffer/storage-core';

import type { Role } from './claims.ts';

/** The tenant a request is made for. */
export type TenantDecision =
  /** The token's tenant. With `mustMatch`, the request is refused unless `assertHeaderNames` finds that this is the tenant's uuid or slug. */
  | { readonly kind: 'claimed'; readonly tenant: TenantContext; readonly mustMatch?: string }
  /** The tenant that the header names by uuid or slug; a lookup has to tell whether it exists. */
  | { readonly kind: 'named'; readonly id: string }
  | { readonly kind: 'none' };

/**
 * What X-Tenant-ID may do. It names the tenant only for `admin` and `service`; for a user it can only confirm the token's tenant, never
 * replace it. An admin without the header acts for the token's tenant, if it has one.
 * @param request.header value of X-Tenant-ID, as Node or a Headers object gives it; undefined when it was not sent
 * @throws validation_failed for a header of an admin or a service that no tenant can have, tenant_mismatch for such a header of a user, and
 * for a user without a tenant who sends any, tenant_context_required for a service that sends none
 */
export function decideTenant(request: {
  readonly role: Role;
  readonly claimed?: TenantContext | undefined;
  readonly header?: string | undefined;
}): TenantDecision {
  const { role, claimed } = request;
  const mayName = role === 'admin' || role === 'service'; // any other role of an application counts as a user
  const id = request.header === undefined ? undefined : tenantIdOf(request.header, mayName);
  if (mayName && id !== undefined) return { kind: 'named', id };
  if (role === 'service')
    throw storageError('tenant_context_required', 'A service must name the tenant that it acts for in the header X-Tenant-ID.');
  if (claimed !== undefined) return { kind: 'claimed', tenant: claimed, ...(id !== undefined && { mustMatch: id }) };
  if (id !== undefined) throw storageError('tenant_mismatch', 'The header X-Tenant-ID names a tenant, but the token belongs to none.');
  return { kind: 'none' };
}

/**
 * Refuses a request whose X-Tenant-ID names a tenant other than its token's. The token may carry a slug from before the tenant was renamed,
 * and the header may repeat it.
 * @param registered the registered tenant that the token's tenant resolved to
 * @throws tenant_mismatch
 */
export function assertHeaderNames({ mustMatch, tenant }: Extract<TenantDecision, { kind: 'claimed' }>, registered: TenantContext): void {
  if (mustMatch === undefined || namesTenant(mustMatch, registered) || namesTenant(mustMatch, tenant)) return;
  throw storageError('tenant_mismatch', "The header X-Tenant-ID does not name the token's tenant.");
}

/** Whether `id`, as given in X-Tenant-ID, is this tenant's uuid or slug. */
function namesTenant(id: string, tenant: TenantContext): boolean {
  return id === tenant.tenantSlug || canonicalTenantUuid(id) === canonicalTenantUuid(tenant.tenantUuid);
}

function tenantIdOf(header: string, mayName: boolean): string {
  const id = headerText(header);
  const problem = tenantNameProblem('The header X-Tenant-ID', id);
  // For a user the header can only confirm the tenant, whose name is never malformed.
  if (problem !== undefined && !mayName) throw storageError('tenant_mismatch', problem);
  if (problem !== undefined) throw storageError('validation_failed', problem, { errors: [{ field: 'X-Tenant-ID', message: problem }] });
  return canonicalTenantUuid(id);
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Header values arrive as one character per byte; clients send slugs in other scripts as UTF-8. */
function headerText(header: string): string {
  if (/[\u0100-\uffff]/.test(header)) return header; // not bytes: somebody has already decoded it
  try {
    return utf8.decode(Buffer.from(header, 'latin1'));
  } catch {
    return header;
  }
}
