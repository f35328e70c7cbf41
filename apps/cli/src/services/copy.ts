import type { CannedAcl } from '@coffer/storage-core';

import { copyTask } from '../bulk/copy-task.ts';
import type { CopySettings } from '../bulk/copy-task.ts';
import { filterOf } from '../bulk/filter.ts';
import { assertApart, planCopies } from '../bulk/plan-copies.ts';
import type { CopyNames } from '../bulk/plan-copies.ts';
import type { Follower, Planned } from '../bulk/task.ts';
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

/** On the provider's side. */
export async function copyFiles(session: Session, request: CopyRequest, follower: Follower<Transfer>): Promise<void> {
  const { toBucket, acl, storageClass, move, update } = request;
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
  await runBulk(session, plan(request, settings), request, follower);
}

async function* plan(request: CopyRequest, settings: CopySettings): AsyncGenerator<Planned<Transfer>, void, undefined> {
  const { from, to, recursive, include, exclude } = request;
  if (!recursive) {
    yield copyTask({ from, to }, settings);
    return;
  }
  const { session, fromBucket } = settings;
  const objects = objectsBelow(session, { bucket: fromBucket, prefix: from });
  for await (const planned of planCopies({ from, to }, filterOf(include, exclude), objects)) {
    yield 'problem' in planned ? planned : copyTask(planned, settings);
  }
}
