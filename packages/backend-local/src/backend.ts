import { resolve } from 'node:path';

import { discard, hasCode, isPublicRead, keyProblem, noContext, storageError } from '@coffer/storage-core';
import type { BatchDeleteResult, CallContext, StorageBackend } from '@coffer/storage-core';

import type { LocalAccess } from './access.ts';
import { aclOperations } from './acls.ts';
import { bucketOperations } from './buckets.ts';
import { copyObject } from './copy.ts';
import type { ObjectRow } from './object-row.ts';
import { deleteIfMatch, deleteObjects, getObject, headObject, putObject } from './objects.ts';
import { LazyStore } from './lazy-store.ts';
import type { Using } from './lazy-store.ts';
import { refuseSigned, Signer } from './presign.ts';
import type { PresignSettings } from './presign.ts';
import { sweep } from './sweep.ts';

/** Where a local backend keeps its objects, and how it presigns. */
export interface LocalBackendOptions {
  /** Directory of the storage, created (for its owner only) if it does not exist. Must not be on a network file system. */
  readonly root: string;
  /** Region of buckets that are created without one. Default `local`. */
  readonly region?: string;
  /** Required for presigned URLs, which `@coffer/backend-local/http` serves. */
  readonly presign?: PresignSettings;
  /** Clock for expiries and `lastModified`. */
  readonly now?: () => Date;
}

/** A backend, plus what its HTTP handler needs. */
export interface LocalBackend extends StorageBackend {
  readonly access: LocalAccess;
}

/**
 * Object storage in a directory of one machine: bytes in immutable files, everything else in a SQLite file.
 *
 * Creating a backend costs nothing: the first call that needs the directory opens it (creating or recovering it), and if that fails,
 * the next call tries again. Several processes may use one directory at once. `close()` waits for running calls.
 *
 * @throws invalid_argument if the root or the presign settings are invalid, as from a variable that is not set
 */
export function localBackend(options: LocalBackendOptions): LocalBackend {
  const { root, region = 'local', now = () => new Date() } = options;
  if (typeof root !== 'string' || root === '')
    throw storageError('invalid_argument', 'The root of a local backend must be the path of a directory.');
  const store = new LazyStore(resolve(root)); // the working directory may change before the first call
  const { using } = store;
  const bucketIdOf = (bucket: string): Promise<number | undefined> => using(noContext, ({ buckets }) => buckets.idOf(bucket));
  const signer = options.presign === undefined ? undefined : new Signer(options.presign, now, bucketIdOf);
  const { verifyRead, verifyWrite, verifyForm } = signer ?? refuseSigned;

  return {
    name: 'local',
    check: (ctx) => using(ctx, (opened) => opened.check()),
    async put(at, body, put, ctx) {
      try {
        const size = body.kind === 'buffer' ? body.data.byteLength : body.size; // its memory may go away while it waits
        return await using(ctx, (opened) => putObject(opened, at, { body, size }, put, { now, ctx }));
      } catch (error) {
        discard(body, error instanceof Error ? error : undefined);
        throw error;
      }
    },
    get: (at, get, ctx) => using(ctx, (opened) => getObject(opened, at, get, ctx)),
    head: (at, ctx) => using(ctx, (opened) => headObject(opened, at)),
    delete: (at, ctx) => using(ctx, (opened) => deleteObjects(opened, at.bucket, [at.key])),
    deleteIfMatch: (at, etag, ctx) => using(ctx, (opened) => deleteIfMatch(opened, at, etag)),
    copy: (source, destination, copy, ctx) => using(ctx, (opened) => copyObject(opened, { source, destination }, copy, { now, ctx })),
    list: (bucket, list, ctx) => using(ctx, (opened) => opened.objects.list(bucket, list)),
    batchDelete: { deleteMany: (bucket, keys, ctx) => deleteMany(using, bucket, keys, ctx) },
    buckets: bucketOperations(using, { region, now }),
    acl: aclOperations(using),
    maintenance: { sweep: (sweeping, ctx) => using(ctx, (opened) => sweep(opened, sweeping, ctx)) },
    ...(signer !== undefined && { presign: signer.operations }),
    close: () => store.close(),
    access: { verifyRead, verifyWrite, verifyForm, anonymous: anonymousAccess(using) },
  };
}

const largestBatch = 1000;

async function deleteMany(using: Using, bucket: string, keys: readonly string[], ctx: CallContext): Promise<BatchDeleteResult> {
  if (keys.length > largestBatch) throw storageError('invalid_argument', `A batch must have at most ${largestBatch} keys.`);
  const errors: BatchDeleteResult['errors'][number][] = [];
  const deleted = [...new Set(keys)].filter((key) => {
    const message = keyProblem(key);
    if (message !== undefined) errors.push({ key, code: 'invalid_key', message });
    return message === undefined;
  });
  await using(ctx, (store) => deleteObjects(store, bucket, deleted));
  return { deleted, errors };
}

/** Checks the ACL on the same row that is then opened, so that no change of the ACL or the object can come in between. */
function anonymousAccess(using: Using): LocalAccess['anonymous'] {
  const refusal = (): Error => storageError('access_denied', 'The object is not public; use a presigned URL.');
  const gate = (row: ObjectRow): void => {
    if (!isPublicRead(row.acl)) throw refusal();
  };
  const hidingAbsence = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw hasCode(error, 'file_not_found', 'no_such_bucket') ? refusal() : error;
    }
  };
  return {
    get: (at, options, ctx) => hidingAbsence(using(ctx, (store) => getObject(store, at, options, ctx, gate))),
    head: (at, ctx) => hidingAbsence(using(ctx, (store) => headObject(store, at, gate))),
  };
}
