import { canonicalTenantUuid, storageError } from '@coffer/storage-core';
import type { TenantContext } from '@coffer/storage-core';

import { tenantSlugProblem, tenantUuidProblem } from './tenant.ts';

/** An `admin` may do anything; a `service` acts for the tenant it names; a `user` acts for its own. */
export type Role = 'admin' | 'service' | 'user';

/** A token's claims, decoded and verified. */
export type Claims = Readonly<Record<string, unknown>>;

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
