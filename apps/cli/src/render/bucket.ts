import type { BucketInfo } from '@coffer/storage-core';

import { fields, table } from './table.ts';

/** As the API has it. */
export function bucketJson({ name, region, createdAt, versioningEnabled }: BucketInfo): object {
  return { name, region, creation_date: createdAt.toISOString(), versioning_enabled: versioningEnabled };
}

export function bucketTable(buckets: readonly BucketInfo[]): string {
  return table(['NAME', 'REGION', 'CREATED', 'VERSIONING'], buckets.map(cells));
}

export function bucketFields(bucket: BucketInfo): string {
  const [name = '', region = '', created = '', versioning = ''] = cells(bucket);
  return fields([
    ['name', name],
    ['region', region],
    ['created', created],
    ['versioning', versioning],
  ]);
}

function cells({ name, region, createdAt, versioningEnabled }: BucketInfo): readonly string[] {
  return [name, region, createdAt.toISOString(), versioningEnabled ? 'on' : 'off'];
}
