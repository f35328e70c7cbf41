import { setTimeout as delay } from 'node:timers/promises';

import { isStorageError } from '@coffer/storage-core';

import { LocalError, problemOf } from '../problem.ts';
import { Meter } from './meter.ts';
import { readAhead } from './read-ahead.ts';
import { isFailure } from './task.ts';
import type { Follower, Outcome, Plan, Planned, Running, Task } from './task.ts';

export interface RunOptions<R> {
  /** How many tasks run at once. */
  readonly concurrency: number;
  /** Retries after the first attempt; an attempt that made progress starts the count again. */
  readonly retries: number;
  readonly signal: AbortSignal;
  readonly follower: Follower<R>;
  /** Only report what would be done. */
  readonly dryRun?: boolean;
}

/** Objects that are planned ahead of the workers: two pages of a listing. */
const maxPlannedAhead = 2000;

/**
 * Runs tasks while they are still being planned, with a bounded number of workers. A task that fails is reported, and the others go
 * on.
 * @throws what the plan throws, once the tasks before that are done; the signal's reason, once the running tasks have ended
 */
export async function runTasks<R>(plan: Plan<R>, options: RunOptions<R>): Promise<void> {
  const { concurrency, signal, follower } = options;
  const tasks = readAhead(announced(plan, follower), { maxSize: maxPlannedAhead, sizeOf: objectCount });
  let runningCount = 0;
  const isAlone = (): boolean => runningCount === 1 && concurrency > 1;
  const work = async (): Promise<void> => {
    for (;;) {
      signal.throwIfAborted();
      const { done, value } = await tasks.next();
      if (done === true) return;
      if (isFailure(value)) {
        follower.failed(value);
        continue;
      }
      runningCount++;
      await runTask(value, isAlone, options).finally(() => runningCount--);
    }
  };
  const results = await Promise.allSettled(Array.from({ length: concurrency }, work));
  await tasks.return();
  signal.throwIfAborted();
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

function objectCount<R>(planned: Planned<R>): number {
  return isFailure(planned) ? 1 : (planned.count ?? 1);
}

async function* announced<R>(plan: Plan<R>, follower: Follower<R>): AsyncGenerator<Planned<R>, void, undefined> {
  for await (const planned of plan) {
    if (!isFailure(planned)) follower.planned(planned);
    yield planned;
  }
  follower.allPlanned();
}

async function runTask<R>(task: Task<R>, isAlone: () => boolean, options: RunOptions<R>): Promise<void> {
  const { follower, signal, dryRun } = options;
  try {
    await follower.finished(task, dryRun === true ? await preview(task) : await runWithRetries(task, isAlone, options));
  } catch (error) {
    await task.abandon?.();
    signal.throwIfAborted();
    follower.failed({ subject: task.subject, problem: problemOf(error) });
  }
}

async function preview<R>(task: Task<R>): Promise<Outcome<R>> {
  const done = await task.preview();
  return done.length > 0 ? { done } : { done, skipped: 1 };
}

/**
 * The backend has already retried requests that failed before any byte passed. This retries what the backend cannot: a body that ends
 * too early, or an object that changes while it is read.
 */
async function runWithRetries<R>(task: Task<R>, isAlone: () => boolean, { retries, signal, follower }: RunOptions<R>): Promise<Outcome<R>> {
  const meter = new Meter(follower, task.bytes);
  let retry = 0;
  const running: Running = {
    signal,
    sized: (bytes) => meter.sized(bytes),
    moved: (bytes) => meter.moved(bytes),
    advanced: () => (retry = 0),
    isAlone,
  };
  try {
    for (;;) {
      try {
        return await task.run(running);
      } catch (error) {
        if (task.isOnce === true || retry >= retries || !isRetryable(error, meter.passed > 0)) throw error;
        meter.rewind();
      }
      await delay(Math.random() * Math.min(100 * 2 ** retry++, 5000), undefined, { signal });
    }
  } finally {
    meter.end();
  }
}

function isRetryable(error: unknown, hasMoved: boolean): boolean {
  return (isStorageError(error) && error.retryable && hasMoved) || (error instanceof LocalError && error.retryable);
}
