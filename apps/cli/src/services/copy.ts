import { copyTask } from '../bulk/copy-task.ts';
import type { CopySettings } from '../bulk/copy-task.ts';
import { filterOf } from '../bulk/filter.ts';
import { assertApart, planCopies } from '../bulk/plan-copies.ts';
import type { CopyNames, PlannedCopy } from '../bulk/plan-copies.ts';
import { isFailure } from '../bulk/task.ts';
import type { CountingFollower, Failure, Planned, Task } from '../bulk/task.ts';
import type { Transfer } from '../bulk/transfer.ts';
import { LocalError, problemOf } from '../problem.ts';
import { noneSelectedNote, withFolderHint } from './folder-hint.ts';
import { objectsBelow } from './list-objects.ts';
import type { Session } from './open-session.ts';
import { runBulk } from './run-bulk.ts';
import type { BulkOptions } from './run-bulk.ts';

export interface CopyRequest extends CopyNames, BulkOptions, Omit<CopySettings, 'session' | 'fromBucket' | 'toBucket'> {
  readonly toBucket?: string | undefined;
  readonly recursive: boolean;
}

/** One pass over the listing. */
interface Pass {
  /** Whether it is the first pass at its depth. */
  readonly isFirst: boolean;
  /** The depth of the objects that this pass copies; see `depthOf`. */
  readonly depth: number;
  /** Whether an object of a smaller depth failed: then deeper ones are reported and stay. */
  readonly isBlocked: boolean;
  /** Whether the listing has objects of a greater depth. */
  hasDeeper: boolean;
}

/**
 * Copies or moves on the provider's side.
 * @throws UsageError when source and destination overlap
 */
export async function copyFiles(session: Session, request: CopyRequest, follower: CountingFollower<Transfer>): Promise<void> {
  const { from, to, move, recursive, dryRun } = request;
  const fromBucket = await session.bucket();
  const { toBucket = fromBucket } = request;
  if (toBucket === fromBucket) assertApart(request);
  const settings: CopySettings = { ...request, session, fromBucket, toBucket };
  const isOntoItself = toBucket === fromBucket && from === to;
  const repeats = move && recursive && !dryRun && !isOntoItself;
  for (let pass: Pass | undefined = { isFirst: true, depth: 0, isBlocked: false, hasDeeper: false }; pass !== undefined;) {
    const before = follower.totals.count;
    await runBulk(session, plan(request, settings, pass), request, follower);
    const { count, failed } = follower.totals;
    // Some providers do not list what lies below an object until that object is gone.
    pass = passAfter(pass, { isOver: count === before || !repeats, hasFailed: failed > 0 });
  }
}

function passAfter(
  { depth, isBlocked, hasDeeper }: Pass,
  { isOver, hasFailed }: { readonly isOver: boolean; readonly hasFailed: boolean },
): Pass | undefined {
  if (!isOver && !hasFailed) return { isFirst: false, depth, isBlocked, hasDeeper: false };
  if (!hasDeeper || isBlocked) return undefined;
  return { isFirst: true, depth: hasFailed ? depth : depth + 1, isBlocked: hasFailed, hasDeeper: false };
}

async function* plan(request: CopyRequest, settings: CopySettings, pass: Pass): AsyncGenerator<Planned<Transfer>, void, undefined> {
  const { from, to, recursive, include, exclude } = request;
  const { session, fromBucket } = settings;
  const filter = filterOf(include, exclude);
  if (!recursive) {
    if (filter(from)) yield withFolderHint(copyTask({ from, to }, settings), session, { bucket: fromBucket, key: from });
    else session.note(noneSelectedNote);
    return;
  }
  const objects = objectsBelow(session, { bucket: fromBucket, prefix: from });
  for await (const planned of planCopies({ from, to }, filter, objects)) {
    if (isFailure(planned)) {
      if (pass.isFirst && pass.depth === 0) yield planned; // in a later pass, it only says that nothing is left
      continue;
    }
    const depth = depthOf(planned, request, settings);
    if (depth > pass.depth) {
      pass.hasDeeper = true;
      if (pass.isBlocked) yield blocked(planned);
    } else if (depth === pass.depth && !pass.isBlocked) {
      const task = copyTask(planned, settings);
      yield pass.isFirst ? task : withoutSkipped(task);
    }
  }
}

/**
 * How many objects must make way before this one, when `a/` is moved to a prefix that contains it: `a/a/x` takes the place of `a/x`,
 * where it would be listed again. So all objects of one depth are done before those of the next.
 */
function depthOf({ from: key }: PlannedCopy, { from, to }: CopyNames, { fromBucket, toBucket }: CopySettings): number {
  if (fromBucket !== toBucket || from === to || !from.startsWith(to)) return 0;
  const step = from.slice(to.length);
  let depth = 0;
  while (key.startsWith(step, from.length + depth * step.length)) depth += 1;
  return depth;
}

function blocked({ from, to }: PlannedCopy): Failure {
  const error = new LocalError('path_conflict', `Not attempted: other objects failed, and the object at ${to} may be one of them.`);
  return { subject: { key: from }, problem: problemOf(error) };
}

/** Objects that are skipped stay in place; the previous pass has counted them already. */
function withoutSkipped(task: Task<Transfer>): Task<Transfer> {
  return { ...task, run: async (running) => ({ ...(await task.run(running)), skipped: 0 }) };
}
