import type { Config, Runtime } from '@coffer/runtime';
import { canonicalTenantUuid, hasCode, storageError, tenantNameProblem } from '@coffer/storage-core';
import type { TenantContext } from '@coffer/storage-core';

import { UsageError } from '../problem.ts';

type Tenants = Runtime['tenants'];

/** Whether TENANT_ID decides the bucket of a command: not if the user names a bucket. */
export function isBucketOfTenant({ storage, tenantId }: Config, named: string | undefined): boolean {
  return named === undefined && storage.multiTenancy && tenantId !== undefined;
}

/** The registered tenant with this UUID or slug; undefined if there is none. */
export async function findTenant(tenants: Tenants, id = ''): Promise<TenantContext | undefined> {
  try {
    const { tenantUuid, tenantSlug } = await tenants.find(id);
    return { tenantUuid, tenantSlug };
  } catch (error) {
    if (hasCode(error, 'tenant_not_found')) return undefined;
    throw error;
  }
}

/** A tenant that is not registered, known only by TENANT_ID. @throws UsageError when that is not a valid name */
export function takenAsSlug(id: string | undefined, note?: (text: string) => void): TenantContext | undefined {
  if (id === undefined) return undefined;
  const problem = tenantNameProblem('TENANT_ID', id);
  if (problem !== undefined) throw new UsageError(problem);
  note?.(`note: no tenant "${id}" is registered; using it as a slug.`);
  return { tenantUuid: canonicalTenantUuid(id), tenantSlug: id };
}

/** A bucket name derived from a slug may belong to a tenant that once had that slug. @throws tenant_conflict */
export async function assertUnowned(tenants: Tenants, bucket: string): Promise<void> {
  if ((await tenants.ownerOf(bucket)) === undefined) return;
  throw storageError('tenant_conflict', `The bucket "${bucket}" belongs to a tenant with another name; set TENANT_ID to that name.`);
}
