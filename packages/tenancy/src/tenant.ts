import type { TenantContext } from '@coffer/storage-core';

export type { TenantContext } from '@coffer/storage-core';

const longest = 128;
const rfc9562 = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Whether `value` can identify a tenant: `tenantUuidProblem` finds nothing. */
export function isTenantUuid(value: unknown): value is string {
  return typeof value === 'string' && tenantUuidProblem(value) === undefined;
}

/** Why `value` cannot identify a tenant, or undefined when it can. Opaque: it need not have the form of a UUID. */
export function tenantUuidProblem(value: string): string | undefined {
  return shapeProblem('A tenant uuid', value);
}

/** Why `value` cannot name a tenant, or undefined when it can. Any script: what a bucket name cannot hold is hashed there. */
export function tenantSlugProblem(value: string): string | undefined {
  return shapeProblem('A tenant slug', value);
}

/** Whether `value` has the form of a UUID of RFC 9562, in either case. */
export function isRealUuid(value: string): boolean {
  return rfc9562.test(value);
}

/** The one spelling of a tenant uuid: real UUIDs in lower case, anything else as it is. */
export function canonicalTenantUuid(value: string): string {
  return isRealUuid(value) ? value.toLowerCase() : value;
}

/** Whether `id`, as X-Tenant-ID has it, is this tenant's uuid or slug. */
export function namesTenant(id: string, tenant: TenantContext): boolean {
  return id === tenant.tenantSlug || canonicalTenantUuid(id) === canonicalTenantUuid(tenant.tenantUuid);
}

/** Why `value` is neither a uuid nor a slug of any tenant; `what` begins the sentence. */
export function shapeProblem(what: string, value: string): string | undefined {
  if (value === '') return `${what} is not empty.`;
  // A character is one code point; the first test spares counting those of something huge.
  if (value.length > 2 * longest || Array.from(value).length > longest) return `${what} has at most ${longest} characters.`;
  if (!value.isWellFormed()) return `${what} is well-formed Unicode.`;
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(value)) return `${what} has no control characters.`;
  if (value.trim() !== value) return `${what} has no white space at its ends.`;
  return undefined;
}
