import { hasCode, isStorageError, keyProblem, lookAndDelete, storageError } from '@coffer/storage-core';
import type { BatchDeleteResult, CallContext, ObjectAddress, StorageError, StorageErrorCode } from '@coffer/storage-core';

import { bulkAtOnce, inTurn } from './bulk-request.ts';
import { inParallel } from './concurrency.ts';
import { isAbsent } from './copy/copy-of.ts';
import { deletionOf } from './documents/object.ts';
import { codeOfName } from './errors.ts';
import { isEtag } from './etag.ts';
import { wasInDoubt } from './in-doubt.ts';
import { keyClassesOf } from './key-classes.ts';
import { assertKeySupported, refusedKeys } from './key-support.ts';
import { causeName, causeStatus } from './provider-error.ts';
import { headObject } from './read.ts';
import type { Store } from './store.ts';
import type { ObjectVersion, Transport } from './transport.ts';

const largestBatch = 1000;
// Servers work through a batch key by key, so several smaller batches at once finish sooner.
const batchSize = 250;
/** Bytes of a batch: Ceph takes 1 MiB, and calls more a wrong range. A character of a key may take six of them. */
const maxBatchBytes = 500_000;
const parallel = 4;
/** Objects that a batch deletes without waiting for a slot. */
const largestShortBatch = 25;

type Failure = BatchDeleteResult['errors'][number];

export async function deleteObject(store: Store, at: ObjectAddress, ctx: CallContext, versionId?: string): Promise<void> {
  try {
    await store.transport.delete(at, ctx, { versionId });
  } catch (error) {
    if (!hasCode(error, 'file_not_found')) throw error;
  }
}

/** Sends the condition where the server is known to enforce it, and otherwise looks at the object first. */
export async function deleteIfMatch(store: Store, at: ObjectAddress, etag: string, ctx: CallContext): Promise<void> {
  await assertKeySupported(store, at, ctx);
  const isEnforced = isEtag(etag) ? store.endpoint.conditionalDelete : false;
  if (isEnforced === true) {
    try {
      return await deleteOnCondition(store, at, etag, ctx);
    } catch (error) {
      // Swift compares something else than the ETag that it tells of an object of parts, and refuses every one.
      // Another answer, such as that somebody is just writing (409), is about this object.
      if (causeStatus(error) !== 412 || !etag.includes('-') || store.settings.isAws) throw error;
    }
  }
  const remove = (): Promise<void> => (isEnforced === undefined ? deleteAndLearn(store, at, etag, ctx) : deleteObject(store, at, ctx));
  return lookAndDelete({ head: () => headObject(store, at, ctx), delete: remove }, at, etag, ctx);
}

/** Of no object. */
const noEtag = '0'.repeat(32);

/**
 * Deletes an object that has just been seen to have this ETag, and learns whether the server enforces conditions: one that ignores another
 * ETag deletes what is to be deleted anyway. Only a server that has refused it as another one enforces them. What it is seen to do is
 * believed over a deletion that may have been of nothing: somebody else may have deleted the object, which AWS calls a success.
 */
async function deleteAndLearn(store: Store, at: ObjectAddress, etag: string, ctx: CallContext): Promise<void> {
  const { endpoint } = store;
  const refusalOf = async (condition: string): Promise<StorageErrorCode | undefined> => {
    try {
      await deleteOnCondition(store, at, condition, ctx);
      return undefined;
    } catch (error) {
      const isRefusal = hasCode(error, 'precondition_failed', 'not_supported', 'invalid_argument');
      // Somebody may just be writing (409), which says no more about the condition than that there is nothing.
      if (!isRefusal || causeStatus(error) === 409 || hasCode(error.cause, 'file_not_found')) throw error;
      return error.code;
    }
  };
  const refusal = await refusalOf(noEtag);
  if (refusal === undefined) endpoint.conditionalDelete ??= false;
  else if (refusal === 'precondition_failed' && (await refusalOf(etag)) === undefined) endpoint.conditionalDelete = true;
  else {
    const remove = async (): Promise<void> => {
      endpoint.conditionalDelete ??= false; // some servers refuse every condition
      await deleteObject(store, at, ctx);
    };
    await lookAndDelete({ head: () => headObject(store, at, ctx), delete: remove }, at, etag, ctx);
  }
}

async function deleteOnCondition(store: Store, at: ObjectAddress, etag: string, ctx: CallContext): Promise<void> {
  try {
    await store.transport.delete(at, ctx, { ifMatch: etag });
  } catch (error) {
    if (wasInDoubt(error) && (await isGone(store, at, error, ctx))) return; // an earlier attempt has deleted it, and only the answer got lost
    if (!hasCode(error, 'file_not_found')) throw error;
    throw storageError('precondition_failed', 'There is no object with this key.', { cause: error });
  }
}

/** Some servers say of an object that is not there that it does not meet the condition. */
async function isGone(store: Store, at: ObjectAddress, error: unknown, ctx: CallContext): Promise<boolean> {
  if (hasCode(error, 'file_not_found')) return true;
  return hasCode(error, 'precondition_failed') && isAbsent(store, at, ctx).catch(() => false);
}

export async function deleteMany(store: Store, bucket: string, keys: readonly string[], ctx: CallContext): Promise<BatchDeleteResult> {
  if (keys.length > largestBatch) throw storageError('invalid_argument', `A batch must have at most ${largestBatch} keys.`);
  const errors: Failure[] = [];
  const valid = [...new Set(keys)].filter((key) => {
    const message = keyProblem(key);
    if (message !== undefined) errors.push({ key, code: 'invalid_key', message });
    return message === undefined;
  });
  const listed = await withoutRefused(store, bucket, valid, errors, ctx);
  errors.push(...(await deleteListed(store, bucket, listed, ctx)));
  const failed = new Set(errors.map(({ key }) => key));
  return { deleted: valid.filter((key) => !failed.has(key)), errors };
}

/** A server that would take a key for another one must not delete the other one. */
async function withoutRefused(
  store: Store,
  bucket: string,
  keys: readonly string[],
  errors: Failure[],
  ctx: CallContext,
): Promise<readonly string[]> {
  const classes = new Set(keys.flatMap(keyClassesOf));
  const refused = await refusedKeys(store, bucket, [...classes], ctx);
  if (refused.length === 0) return keys;
  return keys.filter((key) => {
    const isRefused = keyClassesOf(key).some((name) => refused.includes(name));
    if (isRefused) errors.push({ key, code: 'invalid_key', message: 'The storage provider cannot hold an object with this key.' });
    return !isRefused;
  });
}

/** Deletes valid keys. @returns those that could not be deleted */
async function deleteListed(store: Store, bucket: string, keys: readonly string[], ctx: CallContext): Promise<Failure[]> {
  const objects = keys.map((key) => ({ key }));
  const { plain = [], odd = [] } = Object.groupBy(objects, ({ key }) => (isPlainInXml(key) ? 'plain' : 'odd'));
  const batches = batchesOf(plain);
  const alone = deleteEach(store, bucket, odd, ctx);
  const refusals: StorageError[] = [];
  const together = inParallel(
    batches,
    () => bulkAtOnce(store, parallel),
    async (batch) => {
      try {
        return await deleteBatch(store, bucket, batch, ctx);
      } catch (error) {
        if (!isStorageError(error) || hasCode(error, 'no_such_bucket')) throw error;
        refusals.push(error);
        return batch.map(({ key }) => ({ key, code: error.code, message: error.message }));
      }
    },
  );
  const [batched, others] = await Promise.all([together, alone]);
  const failures = [...batched.flat(), ...others];
  // Where some are deleted, those that are not have to be reported one by one.
  const [refusal] = refusals;
  if (refusal !== undefined && refusals.length === batches.length && failures.length === keys.length) throw refusal;
  return failures;
}

export function batchesOf(objects: readonly ObjectVersion[]): readonly (readonly ObjectVersion[])[] {
  const batches: ObjectVersion[][] = [];
  let batch: ObjectVersion[] = [];
  let bytes = 0;
  for (const object of objects) {
    const size = Buffer.byteLength(deletionOf(object));
    if (batch.length === 0 || batch.length === batchSize || bytes + size > maxBatchBytes) {
      batches.push((batch = []));
      bytes = 0;
    }
    batch.push(object);
    bytes += size;
  }
  return batches;
}

/** For keys that no batch can name, and for servers without batches. */
async function deleteEach(store: Store, bucket: string, objects: readonly ObjectVersion[], ctx: CallContext): Promise<Failure[]> {
  const failures = await inParallel(objects, parallel, async ({ key, versionId }) => {
    try {
      await deleteObject(store, { bucket, key }, ctx, versionId);
      return [];
    } catch (error) {
      if (!isStorageError(error) || hasCode(error, 'no_such_bucket')) throw error;
      return [{ key, code: error.code, message: error.message }];
    }
  });
  return failures.flat();
}

/**
 * XML cannot express some characters, which other clients may use in keys. Parsers drop spaces at the ends, and some (that of fauxqs) resolve
 * what has been escaped, such as `&lt;`, once more, and know no characters by their numbers, as which the line ends of Unicode are sent.
 * MinIO refuses to delete `a//b`, but takes it for `a/b` in a batch.
 */
export function isPlainInXml(key: string): boolean {
  // oxlint-disable-next-line no-control-regex -- they are what XML cannot hold
  return !/^\s|\s$|[\u0000-\u001f\u0085\u2028\ufffe\uffff]|&[#\w]+;/.test(key) && !key.includes('//');
}

/** Names that say nothing about the key. Ceph sends the other one for a key that another request writes or deletes at the same moment. */
const brokenNames: ReadonlySet<string> = new Set(['InternalError', 'UnknownError']);

/** Also deletes single versions. @returns what could not be deleted */
export async function deleteBatch(store: Store, bucket: string, objects: readonly ObjectVersion[], ctx: CallContext): Promise<Failure[]> {
  const request = (): ReturnType<Transport['deleteBatch']> => store.transport.deleteBatch(bucket, objects, ctx);
  const isLarge = objects.length > largestShortBatch;
  const failed = await (isLarge ? inTurn(store, ctx, request) : request()).catch((error: unknown) => {
    // GCS has no batches, and calls them an invalid argument. Ceph looks for a policy of the bucket itself, not of what is in it.
    if (hasCode(error, 'not_supported', 'invalid_argument') || causeName(error) === 'AccessDenied') return error as StorageError;
    throw error;
  });
  if (isStorageError(failed)) {
    const failures = await deleteEach(store, bucket, objects, ctx);
    const isRefused = failures.length === objects.length && failures.every(({ code }) => code === 'access_denied');
    if (isRefused && failed.code === 'access_denied') throw failed;
    return failures;
  }
  if (failed.length === 0) return [];
  const requested = new Set(objects.map(({ key }) => key));
  // Only the server knows which key such a failure belongs to.
  if (failed.some(({ key }) => !requested.has(key))) return deleteEach(store, bucket, objects, ctx);
  const broken = new Set(failed.filter(({ name }) => brokenNames.has(name)).map(({ key }) => key));
  const again = objects.filter(({ key }) => broken.has(key));
  const refused = failed.flatMap(({ key, name }) => {
    const code = codeOfName(name);
    if (code === 'file_not_found' || broken.has(key)) return [];
    const hint = code === 'access_denied' ? '; the credentials may lack the permission s3:DeleteObject' : '';
    return [{ key, code, message: `The storage provider did not delete the object (${code})${hint}.` }];
  });
  return [...refused, ...(await retryOneByOne(store, bucket, again, ctx))];
}

/** Codes of a server that fails whatever it is asked. */
const unavailableCodes: ReadonlySet<string> = new Set(['storage_unavailable', 'connect_timeout', 'read_timeout']);

/**
 * Retries one by one what the server failed to delete in a batch. This helps Ceph with keys that others write, and SeaweedFS with the
 * last version of a key whose name is too long for its folder of versions. If the server also fails at the first one, the others are not tried.
 */
async function retryOneByOne(
  store: Store,
  bucket: string,
  [first, ...others]: readonly ObjectVersion[],
  ctx: CallContext,
): Promise<Failure[]> {
  if (first === undefined) return [];
  const [failure] = await deleteEach(store, bucket, [first], ctx);
  if (failure !== undefined && unavailableCodes.has(failure.code)) return [first, ...others].map(({ key }) => ({ ...failure, key }));
  return [...(failure === undefined ? [] : [failure]), ...(await deleteEach(store, bucket, others, ctx))];
}
