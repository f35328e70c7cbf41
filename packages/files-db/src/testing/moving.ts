import { memoryBackend } from '@coffer/storage-core';
import type { StorageBackend } from '@coffer/storage-core';
import type { TestDatabaseOptions } from '@coffer/fixtures';

import type { FileRecord, Relocation, StrayFile } from '../index.ts';
import { acme, admin, defaultBucket, globex, openRig, presigning, sharedBucket } from './support.ts';
import type { Rig } from './support.ts';

const day = 86_400;
export const inDays = (days: number): Date => new Date(Date.now() + days * day * 1000);
export const keep = { keepSeconds: 7 * day, provision: true };

/** A rig whose uploads go to the default bucket, and with `multiTenancy` to that of their tenant. */
export interface MovingRig extends Rig {
  multiTenancy: boolean;
  /** The files that are not in a bucket of their tenant. */
  strays(service?: Rig['tenantService']): Promise<readonly StrayFile[]>;
  moveAll(options?: typeof keep, service?: Rig['tenantService']): Promise<readonly Relocation[]>;
  /** The record as it now is. */
  now(file: FileRecord): Promise<FileRecord>;
}

export async function openMovingRig(
  server: TestDatabaseOptions['server'],
  backend: StorageBackend = presigning(memoryBackend()),
): Promise<MovingRig> {
  const rig = await openRig({
    server,
    backend,
    cacheSeconds: 0,
    storage: {
      defaultBucket,
      resolveBucket: async ({ bucket, tenant }) => {
        if (bucket !== undefined) return { bucket, because: 'explicit' };
        if (!moving.multiTenancy) return { bucket: defaultBucket, because: 'default' };
        if (tenant === undefined) return { bucket: sharedBucket, because: 'shared' };
        return { bucket: await rig.tenants.bucketFor(tenant), because: 'tenant_mapping' };
      },
    },
  });
  const moving: MovingRig = {
    ...rig,
    multiTenancy: false,
    strays: async (service = rig.tenantService) => {
      const found: StrayFile[] = [];
      for await (const file of service.strayFiles()) found.push(file);
      return found;
    },
    moveAll: async (options = keep, service = rig.tenantService) => {
      const results: Relocation[] = [];
      for (const file of await moving.strays(service)) results.push(await service.relocateFile(file, options));
      return results;
    },
    now: ({ id }) => rig.files.get(id, admin),
  };
  for (const tenant of [acme, globex]) await rig.tenants.create(tenant);
  return moving;
}
