import { isStorageError } from '@coffer/storage-core';
import type { ObjectSummary, StorageService } from '@coffer/storage-core';

import { problemOf } from '../problem.ts';
import type { Session } from '../services/open-session.ts';
import { nameOf } from './task.ts';
import type { Failure, Task } from './task.ts';

/** An object that was deleted, or would be in a dry run. */
export interface Deleted {
  readonly bucket: string;
  readonly key: string;
  readonly size: number;
}

/**
 * Objects per request, which may have up to 1,000. Several smaller batches at once finish sooner; much smaller ones would cost more
 * requests.
 */
const batchSize = 250;

/** @param found pages of objects of the one bucket, all of which are to be deleted */
export async function* planDeletions(
  session: Session,
  bucket: string,
  found: AsyncIterable<readonly Pick<ObjectSummary, 'key' | 'size'>[]>,
): AsyncGenerator<Task<Deleted>, void, undefined> {
  let batch: Deleted[] = [];
  for await (const objects of found) {
    for (const { key, size } of objects) {
      batch.push({ bucket, key, size });
      if (batch.length < batchSize) continue;
      yield deletionTask(session, bucket, batch);
      batch = [];
    }
  }
  if (batch.length > 0) yield deletionTask(session, bucket, batch);
}

function deletionTask({ storage, shortCtx: ctx }: Session, bucket: string, batch: readonly Deleted[]): Task<Deleted> {
  return {
    subject: { key: batch[0]?.key ?? '' },
    count: batch.length,
    bytes: sizeOf(batch),
    preview: () => batch,
    async run(running) {
      const failed = await (storage.backend.batchDelete === undefined
        ? deleteEach(storage, bucket, batch, ctx)
        : deleteTogether(storage, bucket, batch, ctx));
      const names = new Set(failed.map(({ subject }) => nameOf(subject)));
      const done = batch.filter(({ key }) => !names.has(key));
      running.moved(sizeOf(done));
      return { done, failed };
    },
  };
}

function sizeOf(objects: readonly Deleted[]): number {
  return objects.reduce((sum, { size }) => sum + size, 0);
}

async function deleteTogether(
  storage: StorageService,
  bucket: string,
  batch: readonly Deleted[],
  ctx: Session['ctx'],
): Promise<readonly Failure[]> {
  try {
    const { errors } = await storage.deleteFiles({ bucket, keys: batch.map(({ key }) => key) }, ctx);
    return errors.map(({ key, code, message }) => ({ subject: { key }, problem: { code, message } }));
  } catch (error) {
    if (ctx.signal.aborted || !isStorageError(error)) throw error;
    return batch.map(({ key }) => ({ subject: { key }, problem: problemOf(error) }));
  }
}

/** For backends that cannot delete in batches. */
async function deleteEach(
  storage: StorageService,
  bucket: string,
  batch: readonly Deleted[],
  ctx: Session['ctx'],
): Promise<readonly Failure[]> {
  const results = await Promise.allSettled(batch.map(({ key }) => storage.deleteFile({ bucket, key }, ctx)));
  ctx.signal.throwIfAborted();
  return results.flatMap((result, index) =>
    result.status === 'fulfilled' ? [] : [{ subject: { key: batch[index]?.key ?? '' }, problem: problemOf(result.reason) }],
  );
}
