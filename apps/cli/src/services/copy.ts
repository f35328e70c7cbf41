import type { CannedAcl } from '@coffer/storage-core';

import { copyTask } from '../bulk/copy-task.ts';
import type { CopySettings } from '../bulk/copy-task.ts';
import { filterOf } from '../bulk/filter.ts';
import { assertApart, planCopies } from '../bulk/plan-copies.ts';
import type { CopyNames } from '../bulk/plan-copies.ts';
import type { Follower, Planned, Task } from '../bulk/task.ts';
import type { Transfer } from '../bulk/transfer.ts';
import { objectsBelow } from './list-objects.ts';
import type { Session } from './open-session.ts';
import { runBulk } from './run-bulk.ts';
import type { BulkOptions } from './run-bulk.ts';

export interface CopyRequest extends CopyNames, BulkOptions {
  readonly toBucket?: string;
  readonly recursive: boolean;
  readonly move: boolean;
  readonly acl?: CannedAcl;
  readonly storageClass?: string;
  readonly update: boolean;
}

type Follow = Follower<Transfer> & { readonly totals: { readonly count: number; readonly failed: number } };

/** One time through the listing. */
interface Pass {
  readonly isFirst: boolean;
  /** Whether something goes to where the next pass would find it. */
  meetsItself: boolean;
}

/** On the provider's side. */
export async function copyFiles(session: Session, request: CopyRequest, follower: Follow): Promise<void> {
  const { toBucket, acl, storageClass, move, update, recursive, dryRun } = request;
  const fromBucket = await session.bucket();
  if (toBucket === undefined || toBucket === fromBucket) assertApart(request, request);
  const settings: CopySettings = {
    session,
    fromBucket,
    toBucket: toBucket ?? fromBucket,
    move,
    update,
    ...(acl !== undefined && { acl }),
    ...(storageClass !== undefined && { storageClass }),
  };
  // A listing can leave out what lies below an object until that is gone.
  for (let before = -1; follower.totals.count > before && follower.totals.failed === 0;) {
    const pass: Pass = { isFirst: before === -1, meetsItself: false };
    before = follower.totals.count;
    await runBulk(session, plan(request, settings, pass), request, follower);
    if (!move || !recursive || dryRun || pass.meetsItself) return;
  }
}

async function* plan(request: CopyRequest, settings: CopySettings, pass: Pass): AsyncGenerator<Planned<Transfer>, void, undefined> {
  const { from, to, recursive, include, exclude } = request;
  if (!recursive) {
    yield copyTask({ from, to }, settings);
    return;
  }
  const { session, fromBucket, toBucket } = settings;
  const objects = objectsBelow(session, { bucket: fromBucket, prefix: from });
  for await (const planned of planCopies({ from, to }, filterOf(include, exclude), objects)) {
    if ('problem' in planned) {
      if (pass.isFirst) yield planned; // of a later one, that nothing is left
      continue;
    }
    pass.meetsItself ||= toBucket === fromBucket && planned.to.startsWith(from);
    const task = copyTask(planned, settings);
    yield pass.isFirst ? task : withoutSkipped(task);
  }
}

/** What is left out stays where it is, and has been counted by the pass before. */
function withoutSkipped(task: Task<Transfer>): Task<Transfer> {
  return { ...task, run: async (running) => ({ ...(await task.run(running)), skipped: 0 }) };
}
