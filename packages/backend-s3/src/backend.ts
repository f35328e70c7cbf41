import { noContext } from '@coffer/storage-core';
import type { ByteSink, CallContext, ObjectAddress, PullOptions, StorageBackend } from '@coffer/storage-core';

import { assertEndpoint } from './check-options.ts';
import { checkOf } from './check.ts';
import { assertKeySupported } from './key-support.ts';
import { lazyOperations } from './lazy-operations.ts';
import { listObjects } from './list.ts';
import { openStore } from './open-store.ts';
import type { S3BackendOptions } from './options.ts';
import { presignOperations } from './presign.ts';
import { lacksAcls } from './profile.ts';
import type { EndpointProfile } from './profile.ts';
import { pullObject } from './pull.ts';
import { getObject, headObject } from './read.ts';
import { deleteIfMatch, deleteMany, deleteObject } from './remove.ts';
import type { Store } from './store.ts';
import { putObject } from './upload/put.ts';
import { versioningOperations } from './versioning.ts';

/**
 * Object storage on AWS S3 or any server that speaks its protocol. Creating the backend sends nothing: the first call connects.
 *
 * The endpoint is probed once, when something first depends on what it supports. With a `profile` (from `openS3Backend` or
 * `probeEndpoint`), this is known from the start, and the backend lacks the abilities that the endpoint lacks. Without one, the abilities
 * are present, and each call of a missing one fails with acl_not_supported or not_supported; a conditional delete looks at the object first.
 *
 * @throws invalid_argument, synchronously, for unusable options: an endpoint without http:// or https://, only one of the two keys
 */
export function s3Backend(options: S3BackendOptions, profile?: EndpointProfile): StorageBackend {
  return backendOf(openStore(options, profile), profile);
}

/**
 * `s3Backend` with the settings of a MinIO server: path-style URLs (`endpoint/bucket/key`) and the label `minio`.
 * @throws invalid_argument as `s3Backend` does, and without an endpoint
 */
export function minioBackend(options: S3BackendOptions & { readonly endpoint: string }, profile?: EndpointProfile): StorageBackend {
  assertEndpoint(options.endpoint);
  return s3Backend({ name: 'minio', forcePathStyle: true, ...options }, profile);
}

/**
 * Like `s3Backend`, but probes the endpoint first: the backend has exactly the abilities of the endpoint. Rejects if the endpoint cannot be
 * probed.
 * @param bucket where to probe if the credentials may not create a bucket for that
 */
export async function openS3Backend(options: S3BackendOptions, bucket?: string): Promise<StorageBackend> {
  return s3Backend(options, await probeEndpoint(options, bucket));
}

/**
 * Probes an endpoint and returns what it does. See `s3Backend`.
 * @param bucket where to probe if the credentials may not create a bucket for that
 * @throws also the signal's reason, once what has been written is removed
 */
export async function probeEndpoint(
  options: S3BackendOptions,
  bucket = 'coffer-probe',
  ctx: CallContext = noContext,
): Promise<EndpointProfile> {
  const store = openStore(options, undefined, ctx);
  try {
    return await store.endpoint.profile(bucket);
  } finally {
    store.connection.close();
  }
}

function backendOf(store: Store, profile: EndpointProfile | undefined): StorageBackend {
  const { pull } = store.transport;
  const { acl, lifecycle, ...others } = lazyOperations(store);
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
      await assertKeySupported(store, at, ctx);
      await deleteObject(store, at, ctx);
    },
    list: (bucket, list, ctx) => listObjects(store, bucket, list, ctx),
    batchDelete: { deleteMany: (bucket, keys, ctx) => deleteMany(store, bucket, keys, ctx) },
    presign: presignOperations(store),
    ...others,
    ...(profile?.conditionalDelete !== false && {
      deleteIfMatch: (at: ObjectAddress, etag: string, ctx: CallContext) => deleteIfMatch(store, at, etag, ctx),
    }),
    ...(!lacksAcls(profile) && { acl }),
    ...(profile?.versioning !== false && { versioning: versioningOperations(store) }),
    ...(profile?.lifecycle !== false && { lifecycle }),
    async close() {
      await store.cleanup.drain();
      for (const holder of store.slotHolders.values()) holder.close(); // otherwise they would continue over connections of their own
      store.connection.close();
    },
  };
}
