import type { BucketInfo } from '@coffer/storage-core';

import { fields, table } from './table.ts';

/** In the shape that the API returns. */
export function bucketJson({ name, region, createdAt, versioningEnabled }: BucketInfo): object {
  return { name, region, creation_date: createdAt.toISOString(), versioning_enabled: versioningEnabled };
}

export function bucketTable(buckets: readonly BucketInfo[]): string {
  return table(
    ['NAME', 'REGION', 'CREATED', 'VERSIONING'],
    buckets.map((bucket) => Object.values(cells(bucket))),
  );
}

export function bucketFields(bucket: BucketInfo): string {
  return fields(cells(bucket));
}

/** Credentials that may not list the buckets do not learn when one was created; its date is then 1970. */
function cells({ name, region, createdAt, versioningEnabled }: BucketInfo): Readonly<Record<string, string>> {
  return {
    name,
    region,
    created: createdAt.getTime() === 0 ? 'unknown' : createdAt.toISOString(),
    versioning: versioningEnabled ? 'on' : 'off',
  };
}
