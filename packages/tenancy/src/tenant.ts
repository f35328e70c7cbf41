import { tenantNameProblem } from '@coffer/storage-core';

/** Why `value` cannot identify a tenant, or undefined if it can. It is opaque: it need not have the form of a UUID. */
export function tenantUuidProblem(value: string): string | undefined {
  return tenantNameProblem('A tenant uuid', value);
}

/** Why `value` cannot name a tenant, or undefined if it can. Any script is allowed: what a bucket name cannot hold is hashed there. */
export function tenantSlugProblem(value: string): string | undefined {
  return tenantNameProblem('A tenant slug', value);
}
