import type { Runtime } from '@coffer/runtime';
import type { Tenant } from '@coffer/files-db';
import { hasCode, storageError } from '@coffer/storage-core';
import type { CannedAcl } from '@coffer/storage-core';

import { runtimeOf } from './open-session.ts';
import type { Session } from './open-session.ts';

/** Pages of all tenants, ordered by UUID. */
export async function* allTenants(session: Session): AsyncGenerator<readonly Tenant[], void, undefined> {
  const { tenants } = runtimeOf(session);
  let cursor: string | undefined;
  do {
    const page = await tenants.list({ limit: 1000, cursor });
    yield page.tenants;
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
}

export interface ProvisionRequest {
  /** UUID or slug. */
  readonly id: string;
  readonly slug?: string | undefined;
  readonly region?: string | undefined;
  readonly acl?: CannedAcl | undefined;
}

/** @throws tenant_not_found for an unknown tenant without a slug to register it under, tenant_conflict */
export async function provision(session: Session, { id, slug, region, acl }: ProvisionRequest): Promise<{ readonly bucket: string }> {
  const { tenants, tenantService } = runtimeOf(session);
  const tenantSlug = slug ?? (await slugOf(tenants, id));
  return tenantService.provision(id, { tenantSlug, region, acl }, session.ctx);
}

async function slugOf(tenants: Runtime['tenants'], id: string): Promise<string> {
  try {
    return (await tenants.read(id)).tenantSlug;
  } catch (error) {
    if (!hasCode(error, 'tenant_not_found')) throw error;
    throw storageError('tenant_not_found', `There is no tenant "${id}"; give its uuid and --slug to register it.`, { cause: error });
  }
}
