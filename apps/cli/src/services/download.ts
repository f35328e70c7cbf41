import { EtagTrust } from '../bulk/verification.ts';
import { downloadTask } from '../bulk/download-task.ts';
import type { DownloadSettings } from '../bulk/download-task.ts';
import { filterOf } from '../bulk/filter.ts';
import { Folders } from '../bulk/folders.ts';
import { NameClaims } from '../bulk/name-claims.ts';
import { planBelow, planKeys } from '../bulk/plan-downloads.ts';
import type { DownloadDestination } from '../bulk/plan-downloads.ts';
import { folderPrefix } from '../bulk/prefix.ts';
import type { StdoutSettings } from '../bulk/stdout-task.ts';
import { isFailure } from '../bulk/task.ts';
import type { Follower, Planned } from '../bulk/task.ts';
import type { Transfer } from '../bulk/transfer.ts';
import { noneSelectedNote, withFolderHint } from './folder-hint.ts';
import { objectsBelow } from './list-objects.ts';
import type { Session } from './open-session.ts';
import { runBulk } from './run-bulk.ts';
import type { BulkOptions } from './run-bulk.ts';

export interface DownloadRequest extends BulkOptions, Pick<DownloadSettings, 'update' | 'resume'> {
  /** Keys of objects or, with `recursive`, of folders. */
  readonly keys: readonly string[];
  readonly recursive: boolean;
  readonly destination: DownloadDestination;
}

export async function downloadFiles(session: Session, request: DownloadRequest, follower: Follower<Transfer>): Promise<void> {
  const { destination } = request;
  const folders = new Folders(destination.folder);
  const nameClaims = new NameClaims(folders);
  const bucket = await session.bucket();
  const isNamed = destination.file !== undefined;
  const settings: DownloadSettings = { ...request, session, bucket, folders, nameClaims, isNamed, etagTrust: new EtagTrust(session.note) };
  await runBulk(session, plan(request, settings), request, follower);
}

/** Downloads one object to stdout. */
export async function downloadToStdout(
  session: Session,
  request: Pick<BulkOptions, 'concurrency' | 'dryRun'> & Pick<StdoutSettings, 'write'> & { readonly key: string },
  follower: Follower<Transfer>,
): Promise<void> {
  const bucket = await session.bucket();
  const { stdoutTask } = await import('../bulk/stdout-task.ts');
  const { key, write } = request;
  const task = stdoutTask(key, bucket, { session, write, etagTrust: new EtagTrust(session.note) });
  await runBulk(session, [withFolderHint(task, session, { bucket, key })], request, follower);
}

async function* plan(request: DownloadRequest, settings: DownloadSettings): AsyncGenerator<Planned<Transfer>, void, undefined> {
  const { keys, recursive, destination, include, exclude } = request;
  const { session, bucket } = settings;
  const filter = filterOf(include, exclude);
  if (!recursive) {
    const selected = keys.filter(filter);
    if (selected.length === 0) session.note(noneSelectedNote);
    for (const planned of planKeys(selected, destination)) {
      yield isFailure(planned) ? planned : withFolderHint(downloadTask(planned, settings), session, { bucket, key: planned.key });
    }
    return;
  }
  const prefixes = [...new Map(keys.map((key) => [folderPrefix(key), key])).values()];
  for (const [index, prefix] of prefixes.entries()) {
    const earlier = prefixes.slice(0, index);
    const plannedDownloads = planBelow({ prefix, earlier, filter, list: (folder) => objectsBelow(session, { bucket, prefix: folder }) });
    for await (const planned of plannedDownloads) yield isFailure(planned) ? planned : downloadTask(planned, settings);
  }
}
