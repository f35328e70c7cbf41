import type { Runtime } from '@coffer/runtime';
import { canonicalTenantUuid, hasCode, storageError, tenantNameProblem } from '@coffer/storage-core';
import type { TenantContext } from '@coffer/storage-core';

import { UsageError } from '../problem.ts';

type Tenants = Runtime['tenants'];

/** The registered tenant of this uuid or slug. */
export async function findTenant(tenants: Tenants, id = ''): Promise<TenantContext | undefined> {
  try {
    const { tenantUuid, tenantSlug } = await tenants.find(id);
    return { tenantUuid, tenantSlug };
  } catch (error) {
    if (hasCode(error, 'tenant_not_found')) return undefined;
    throw error;
  }
}

/** A tenant that nobody has registered, known only by what TENANT_ID says. */
export function takenAsSlug(id: string | undefined, note?: (text: string) => void): TenantContext | undefined {
  if (id === undefined) return undefined;
  const problem = tenantNameProblem('TENANT_ID', id);
  if (problem !== undefined) throw new UsageError(problem);
  note?.(`note: no tenant "${id}" is registered; using it as a slug.`);
  return { tenantUuid: canonicalTenantUuid(id), tenantSlug: id };
}

/** What the pattern makes of a slug can be the bucket of somebody who once had that slug. @throws tenant_conflict */
export async function assertUnowned(tenants: Tenants, bucket: string): Promise<void> {
  if ((await tenants.ownerOf(bucket)) === undefined) return;
  throw storageError('tenant_conflict', `The bucket "${bucket}" belongs to a tenant with another name; set TENANT_ID to that name.`);
}
