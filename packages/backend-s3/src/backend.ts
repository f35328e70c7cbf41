import type { ByteSink, CallContext, ObjectAddress, PullOptions, StorageBackend } from '@coffer/storage-core';

import { assertEndpoint } from './check-options.ts';
import { checkOf } from './check.ts';
import { assertKeyHolds } from './key-support.ts';
import { listObjects } from './list.ts';
import { openStore } from './open-store.ts';
import type { S3BackendOptions } from './options.ts';
import { presignOperations } from './presign.ts';
import type { EndpointProfile } from './profile.ts';
import { pullObject } from './pull.ts';
import { rareOperations } from './rare.ts';
import { getObject, headObject } from './read.ts';
import { deleteMany, deleteObject } from './remove.ts';
import type { Store } from './store.ts';
import { putObject } from './upload/put.ts';
import { versioningOperations } from './versioning.ts';

/**
 * Object storage on AWS S3 or any server that speaks its protocol. Costs nothing by itself: the first call connects.
 *
 * What the endpoint can do is found out by trying, once, when something first depends on it. With a `profile` (of
 * `openS3Backend` or `probeEndpoint`) it is known from the start, and abilities that the endpoint lacks are not there;
 * without one they are there, and each of their calls fails with acl_not_supported or not_supported.
 *
 * @throws invalid_argument, at once, for options that nothing can be made of: an endpoint without http:// or https://, one key of two
 */
export function s3Backend(options: S3BackendOptions, profile?: EndpointProfile): StorageBackend {
  return backendOf(openStore(options, profile), profile);
}

/**
 * `s3Backend` with the settings of a MinIO server: `endpoint/bucket/key`, and the label `minio`.
 * @throws invalid_argument, as `s3Backend`, and without an endpoint
 */
export function minioBackend(options: S3BackendOptions & { readonly endpoint: string }, profile?: EndpointProfile): StorageBackend {
  assertEndpoint(options.endpoint);
  return s3Backend({ name: 'minio', forcePathStyle: true, ...options }, profile);
}

/**
 * As `s3Backend`, of an endpoint that answers: its abilities are known, and the backend has just these.
 * @param bucket where to try things out if the credentials may not create a bucket for that
 */
export async function openS3Backend(options: S3BackendOptions, bucket?: string): Promise<StorageBackend> {
  return s3Backend(options, await probeEndpoint(options, bucket));
}

/** What an endpoint does, found out by trying. See `s3Backend`. */
export async function probeEndpoint(options: S3BackendOptions, bucket = 'coffer-probe'): Promise<EndpointProfile> {
  const store = openStore(options);
  try {
    return await store.endpoint.profile(bucket);
  } finally {
    store.connection.close();
  }
}

function backendOf(store: Store, profile: EndpointProfile | undefined): StorageBackend {
  const { pull } = store.transport;
  const { acl, lifecycle, ...rare } = rareOperations(store);
  return {
    name: store.settings.name,
    check: checkOf(store),
    put: (at, body, put, ctx) => putObject(store, at, body, put, ctx),
    get: (at, get, ctx) => getObject(store, at, get, ctx),
    ...(pull !== undefined && {
      pull: (at: ObjectAddress, options: PullOptions, sink: ByteSink, ctx: CallContext) =>
        pullObject(store, pull, { at, options, sink }, ctx),
    }),
    head: (at, ctx) => headObject(store, at, ctx),
    async delete(at, ctx) {
      await assertKeyHolds(store, at, ctx);
      await deleteObject(store, at, ctx);
    },
    list: (bucket, list, ctx) => listObjects(store, bucket, list, ctx),
    batchDelete: { deleteMany: (bucket, keys, ctx) => deleteMany(store, bucket, keys, ctx) },
    presign: presignOperations(store),
    ...rare,
    ...(profile?.acl !== false && { acl }),
    ...(profile?.versioning !== false && { versioning: versioningOperations(store) }),
    ...(profile?.lifecycle !== false && { lifecycle }),
    async close() {
      await store.cleaning.end();
      for (const lender of store.lenders.values()) lender.close(); // or they would go on by connections of their own
      store.connection.close();
    },
  };
}
