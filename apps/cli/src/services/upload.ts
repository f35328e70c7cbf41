import { hasCode } from '@coffer/storage-core';

import { filterOf, folderFilterOf } from '../bulk/filter.ts';
import { OwnData } from '../bulk/own-data.ts';
import { planUploads } from '../bulk/plan-uploads.ts';
import type { Source, UploadNames } from '../bulk/plan-uploads.ts';
import type { StdinSettings } from '../bulk/stdin-task.ts';
import { isFailure } from '../bulk/task.ts';
import type { Follower, Planned, Task } from '../bulk/task.ts';
import type { Transfer } from '../bulk/transfer.ts';
import { uploadTask } from '../bulk/upload-task.ts';
import type { UploadSettings } from '../bulk/upload-task.ts';
import { runBulk } from './run-bulk.ts';
import type { BulkOptions } from './run-bulk.ts';
import type { Session } from './open-session.ts';

export interface UploadRequest extends UploadNames, BulkOptions, Omit<UploadSettings, 'session' | 'bucket'> {
  readonly sources: readonly Source[];
}

export async function uploadFiles(session: Session, request: UploadRequest, follower: Follower<Transfer>): Promise<void> {
  const settings: UploadSettings = { ...request, session, bucket: await session.bucket() };
  await runBulk(session, plan(request, settings), request, follower);
}

/** Uploads stdin as one object. */
export async function uploadStdin(
  session: Session,
  request: Omit<StdinSettings, 'session' | 'bucket'> & Pick<BulkOptions, 'concurrency' | 'dryRun'> & { readonly key: string },
  follower: Follower<Transfer>,
): Promise<void> {
  const settings = { ...request, session, bucket: await session.bucket() };
  const { stdinTask } = await import('../bulk/stdin-task.ts');
  await runBulk(session, [bucketHint(settings)(stdinTask(request.key, settings))], request, follower);
}

async function* plan(request: UploadRequest, settings: UploadSettings): AsyncGenerator<Planned<Transfer>, void, undefined> {
  const { sources, include, exclude } = request;
  const filters = { files: filterOf(include, exclude), folders: folderFilterOf(exclude) };
  const { signal } = settings.session.ctx;
  const withBucketHint = bucketHint(settings);
  for await (const planned of planUploads(sources, request, filters, { ownData: await ownData(settings.session), signal })) {
    yield isFailure(planned) ? planned : withBucketHint(uploadTask(planned, settings));
  }
}

/** Without their bucket, all uploads fail alike: how to create it is said once. Tenants have commands of their own for that. */
function bucketHint({ bucket, session: { note, ctx } }: StdinSettings): <R>(task: Task<R>) => Task<R> {
  let isGiven = ctx.tenant !== undefined;
  const addHint = (error: unknown): never => {
    if (hasCode(error, 'no_such_bucket') && !isGiven) {
      isGiven = true;
      note(`note: "coffer storage buckets create ${bucket}" creates the bucket; --bucket names another one.`);
    }
    throw error;
  };
  return (task) => ({ ...task, run: (running) => task.run(running).catch(addHint) });
}

/** Folders that no upload may read: the data directory holds a secret, and the local storage the objects to which the upload adds. */
function ownData({ config, note }: Session): Promise<OwnData> {
  const { dataDir, storage } = config;
  const folders = storage.backend === 'local' ? [dataDir, storage.localPath] : [dataDir];
  return OwnData.at(folders, (path) => note(`skipped ${path}: Coffer keeps its own data there.`));
}
