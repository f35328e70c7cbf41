import { canonicalTenantUuid, storageError, tenantNameProblem } from '@coffer/storage-core';
import type { TenantContext } from '@coffer/storage-core';

import { namesTenant, tenantSlugProblem, tenantUuidProblem } from './tenant.ts';

/** An `admin` may do anything; a `service` acts for the tenant it names; a `user` acts for its own. */
export type Role = 'admin' | 'service' | 'user';

/** A token's claims, decoded and verified. */
export type Claims = Readonly<Record<string, unknown>>;

/** The tenant a request is made for. */
export type TenantDecision =
  /** The token's tenant. With `mustMatch`, the request is refused unless that is the tenant's uuid or slug: see `namesTenant`. */
  | { readonly kind: 'claimed'; readonly tenant: TenantContext; readonly mustMatch?: string }
  /** The tenant that the header names by uuid or slug; a lookup has to tell whether it exists. */
  | { readonly kind: 'named'; readonly id: string }
  | { readonly kind: 'none' };

/** The strongest role in `roles` (array of strings) and `scope` (separated by spaces); `user` if there is none. */
export function roleOf(claims: Claims): Role {
  const roles: unknown = ownProperty(claims, 'roles');
  const scope: unknown = ownProperty(claims, 'scope');
  const granted = new Set<unknown>([...(Array.isArray(roles) ? roles : []), ...(typeof scope === 'string' ? scope.split(' ') : [])]);
  if (granted.has('admin')) return 'admin';
  return granted.has('service') ? 'service' : 'user';
}

/**
 * The tenant of a token: `tenant_uuid` and `tenant_slug` in the object under `claim`, else under `app_metadata`, else at the top level. The
 * first of these that has either of the two decides; the rest of the object becomes `metadata`.
 * @returns undefined when none has either
 * @throws unauthorized when the pair is incomplete or malformed: such a token must not pass for one without a tenant
 */
export function tenantFromClaims(claims: Claims, claim = 'metadata'): TenantContext | undefined {
  const named = ownProperty(claims, claim);
  if (named !== undefined && named !== null && !isRecord(named)) {
    throw storageError('unauthorized', `The token's claim "${claim}" is not an object with tenant_uuid and tenant_slug.`);
  }
  for (const source of [named, ownProperty(claims, 'app_metadata')]) {
    if (isRecord(source) && hasTenant(source)) {
      const { tenant_uuid: _uuid, tenant_slug: _slug, ...metadata } = source;
      return { ...pairOf(source), metadata };
    }
  }
  return hasTenant(claims) ? pairOf(claims) : undefined;
}

/**
 * What X-Tenant-ID may do. It names the tenant only for `admin` and `service`; for a user it can only confirm the token's tenant, never
 * replace it. An admin without the header acts for the token's tenant, if it has one.
 * @param request.header value of X-Tenant-ID, as Node or a Headers object gives it; undefined when it was not sent
 * @throws validation_failed for a header that no tenant can have, tenant_mismatch for a user without a tenant who sends one,
 * tenant_context_required for a service that sends none
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

function hasTenant(source: Claims): boolean {
  return ownProperty(source, 'tenant_uuid') !== undefined || ownProperty(source, 'tenant_slug') !== undefined;
}

function pairOf(source: Claims): TenantContext {
  const tenantUuid = valueOf(source, 'tenant_uuid', tenantUuidProblem);
  return { tenantUuid: canonicalTenantUuid(tenantUuid), tenantSlug: valueOf(source, 'tenant_slug', tenantSlugProblem) };
}

function valueOf(source: Claims, name: 'tenant_uuid' | 'tenant_slug', problemOf: (value: string) => string | undefined): string {
  const value = ownProperty(source, name);
  if (value === undefined)
    throw storageError('unauthorized', `The token names a tenant without ${name}; it needs tenant_uuid and tenant_slug.`);
  if (typeof value !== 'string') throw storageError('unauthorized', `The token's ${name} is not a string.`);
  const problem = problemOf(value);
  if (problem !== undefined) throw storageError('unauthorized', `The token's ${name} is malformed. ${problem}`);
  return value;
}

function ownProperty(record: Claims, name: string): unknown {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

/** Whether `value` is an object that can hold claims. */
export function isRecord(value: unknown): value is Claims {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
