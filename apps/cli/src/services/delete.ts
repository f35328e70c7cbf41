import { hasCode } from '@coffer/storage-core';
import type { ObjectAddress, ObjectSummary } from '@coffer/storage-core';

import { planDeletions } from '../bulk/deletion.ts';
import type { Deleted } from '../bulk/deletion.ts';
import { filterOf } from '../bulk/filter.ts';
import { folderPrefix, patternHint } from '../bulk/prefix.ts';
import { problemOf } from '../problem.ts';
import type { CountingFollower, Failure, Planned } from '../bulk/task.ts';
import { isFolderKey, noneSelectedNote } from './folder-hint.ts';
import { pagesBelow } from './list-objects.ts';
import type { Session } from './open-session.ts';
import { runBulk } from './run-bulk.ts';
import type { BulkOptions } from './run-bulk.ts';

export interface DeleteRequest extends BulkOptions {
  readonly keys: readonly string[];
  /** Whether the keys are prefixes: what lies below them is deleted, not the objects themselves. */
  readonly prefix: boolean;
}

/** Concurrent requests. More gain nothing, since each deletes a batch of hundreds. */
const maxBatches = 16;

export async function deleteFiles(session: Session, request: DeleteRequest, follower: CountingFollower<Deleted>): Promise<void> {
  const options = { ...request, concurrency: Math.min(request.concurrency, maxBatches) };
  const bucket = await session.bucket();
  if (!request.prefix) {
    await runBulk(session, planKeys(session, bucket, request), options, follower);
    return;
  }
  const emptyPrefixes = new Set(request.keys.map(folderPrefix));
  // Some providers do not list what lies below an object until that object is gone, and others may write meanwhile.
  let before: number;
  do {
    before = follower.totals.count;
    await runBulk(session, planDeletions(session, bucket, pagesToDelete(session, bucket, request, emptyPrefixes)), options, follower);
  } while (!request.dryRun && follower.totals.failed === 0 && follower.totals.count > before);
  for (const prefix of emptyPrefixes) session.note(`note: there are no objects below ${prefix}.${patternHint(prefix)}`);
}

/**
 * Yields pages: passing objects through the plan one by one costs more than deleting them.
 * @param emptyPrefixes loses the prefixes below which something was listed
 */
async function* pagesToDelete(
  session: Session,
  bucket: string,
  request: DeleteRequest,
  emptyPrefixes: Set<string>,
): AsyncGenerator<readonly ObjectSummary[], void, undefined> {
  const filter = filterOf(request.include, request.exclude);
  const isSelected = (key: string, prefix: string): boolean => key.startsWith(prefix) && filter(key.slice(prefix.length));
  const prefixes = [...new Set(request.keys.map(folderPrefix))];
  for (const [index, prefix] of prefixes.entries()) {
    const before = prefixes.slice(0, index);
    for await (const objects of pagesBelow(session, { bucket, prefix }, { isReadOnly: request.dryRun })) {
      // Not only `prefix`: what lies below several of them may be gone when the last of them is listed.
      for (const each of emptyPrefixes) if (objects.some(({ key }) => key.startsWith(each))) emptyPrefixes.delete(each);
      // Counts each object once, even where one prefix lies below another.
      yield objects.filter(({ key }) => isSelected(key, prefix) && !before.some((earlier) => isSelected(key, earlier)));
    }
  }
}

/** Looks up each object first, to report the size of what goes and which keys do not exist. */
async function* planKeys(session: Session, bucket: string, request: DeleteRequest): AsyncGenerator<Planned<Deleted>, void, undefined> {
  const { note, ctx } = session;
  const failures: Failure[] = [];
  const keys = [...new Set(request.keys)].filter(filterOf(request.include, request.exclude));
  if (keys.length === 0) note(noneSelectedNote);
  async function* existing(): AsyncGenerator<readonly { key: string; size: number }[], void, undefined> {
    for (let start = 0; start < keys.length; start += request.concurrency) {
      const lookups = keys.slice(start, start + request.concurrency).map(async (key) => {
        try {
          return { key, size: await sizeOf(session, { bucket, key }) };
        } catch (error) {
          if (hasCode(error, 'file_not_found')) note(await missingNote(session, bucket, key));
          else failures.push({ subject: { key }, problem: problemOf(error) });
          return undefined;
        }
      });
      yield (await Promise.all(lookups)).filter((object) => object !== undefined);
      ctx.signal.throwIfAborted();
    }
  }
  yield* planDeletions(session, bucket, existing());
  yield* failures;
}

/** Credentials that may delete an object, but not read it, may list it. What is not listed may exist: MinIO does not list all objects. */
async function sizeOf({ storage, ctx }: Session, { bucket, key }: ObjectAddress): Promise<number> {
  try {
    return (await storage.getFileInfo({ bucket, key }, ctx)).size;
  } catch (error) {
    if (!hasCode(error, 'access_denied')) throw error;
    const listed = Promise.resolve(storage.listFiles({ bucket, prefix: key, maxKeys: 1 }, ctx));
    const first = (await listed.catch(() => undefined))?.objects[0];
    if (first?.key !== key) throw error;
    return first.size;
  }
}

async function missingNote(session: Session, bucket: string, key: string): Promise<string> {
  const isFolder = await isFolderKey(session, { bucket, key }).catch(() => false); // the credentials may not list
  return `note: there is no object ${key}${isFolder ? `; there are objects below ${folderPrefix(key)}: use --prefix to delete those` : ''}.${patternHint(key)}`;
}
