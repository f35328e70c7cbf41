import { setTimeout as delay } from 'node:timers/promises';

import { storageError } from '@coffer/storage-core';
import { describe, expect, it } from 'vitest';

import { Interrupted } from '../problem.ts';
import { runTasks } from './run-tasks.ts';
import type { Failure, Follower, Outcome, Planned, Running, Task } from './task.ts';

class Recorder implements Follower<number> {
  readonly done: number[] = [];
  readonly failures: Failure[] = [];
  plannedTasks = 0;
  isComplete = false;
  bytes = 0;
  size = 0;
  unmeasured = 0;
  planned({ bytes }: Task<number>): void {
    this.plannedTasks += 1;
    if (bytes === undefined) this.unmeasured += 1;
    else this.size += bytes;
  }
  sized(bytes: number, known: number | undefined): void {
    if (known === undefined) this.unmeasured -= 1;
    this.size += bytes - (known ?? 0);
  }
  allPlanned(): void {
    this.isComplete = true;
  }
  moved(bytes: number): void {
    this.bytes += bytes;
  }
  finished(_task: Task<number>, { done }: Outcome<number>): void {
    this.done.push(...done);
  }
  failed(failure: Failure): void {
    this.failures.push(failure);
  }
}

function task(id: number, run: (running: Running) => Promise<void> = async () => {}): Task<number> {
  return {
    subject: { key: String(id) },
    preview: () => [id],
    async run(running) {
      await run(running);
      return { done: [id] };
    },
  };
}

async function* plan(tasks: Iterable<Planned<number>>): AsyncGenerator<Planned<number>, void, undefined> {
  yield* tasks;
}

const options = (follower: Recorder, signal = new AbortController().signal) => ({ concurrency: 4, retries: 3, signal, follower });

describe('runTasks', () => {
  it('tells a task whether it runs alone', async () => {
    const seen: string[] = [];
    const looking = (id: number, pause: number): Task<number> =>
      task(id, async ({ isAlone }) => {
        await delay(pause);
        seen.push(`${id} ${isAlone()}`);
      });
    const tasks = () => plan([looking(1, 20), looking(2, 200)]);
    await runTasks(tasks(), { ...options(new Recorder()), concurrency: 2 });
    await runTasks(tasks(), { ...options(new Recorder()), concurrency: 1 });
    expect(seen).toEqual(['1 false', '2 true', '1 false', '2 false']);
  });

  it('does everything, at most so many at once', async () => {
    const follower = new Recorder();
    let running = 0;
    let most = 0;
    const tasks = Array.from({ length: 50 }, (_, id) =>
      task(id, async () => {
        most = Math.max(most, (running += 1));
        await delay(1);
        running -= 1;
      }),
    );
    await runTasks(plan(tasks), options(follower));
    expect(follower.done.toSorted((a, b) => a - b)).toEqual(tasks.map((_task, id) => id));
    expect(most).toBe(4);
    expect(follower).toMatchObject({ plannedTasks: 50, isComplete: true });
  });

  it('goes on when something fails, and names it', async () => {
    const follower = new Recorder();
    const failing = task(1, async () => {
      throw storageError('access_denied', 'No.');
    });
    const refused: Failure = { subject: { path: 'p' }, problem: { code: 'unsafe_path', message: 'No.' } };
    await runTasks(plan([task(0), failing, refused, task(2)]), options(follower));
    expect(follower.done).toEqual([0, 2]);
    expect(follower.failures).toEqual(
      expect.arrayContaining([refused, { subject: { key: '1' }, problem: { code: 'access_denied', message: 'No.' } }]),
    );
  });

  it('retries what broke off on its way, but not what never began', async () => {
    const follower = new Recorder();
    let attempts = 0;
    const breaking = task(1, async ({ moved }) => {
      attempts += 1;
      moved(10);
      if (attempts < 3) throw storageError('read_timeout', 'Broke off.');
    });
    let starts = 0;
    const dead = task(2, async () => {
      starts += 1;
      throw storageError('storage_unavailable', 'Down.');
    });
    let reads = 0;
    const stdin = task(3, async ({ moved }) => {
      reads += 1;
      moved(10);
      throw storageError('read_timeout', 'Broke off.');
    });
    await runTasks(plan([breaking, dead, { ...stdin, isOnce: true }]), options(follower));
    expect({ attempts, starts, reads, done: follower.done }).toEqual({ attempts: 3, starts: 1, reads: 1, done: [1] });
    expect(follower.bytes).toBe(20);
  });

  it('reports sizes once they are known, and only the bytes that passed for tasks that have ended', async () => {
    const follower = new Recorder();
    const sizes: number[] = [];
    let attempts = 0;
    const growing = task(1, async ({ sized, moved }) => {
      await delay(1); // until everything is planned
      sized(++attempts * 10);
      moved(5);
      sizes.push(follower.size);
      if (attempts === 1) throw storageError('read_timeout', 'Broke off.');
      moved(15);
    });
    const skipped = { ...task(2), bytes: 100 };
    const failing = task(3, async ({ sized, moved }) => {
      sized(1000);
      moved(1);
      throw storageError('access_denied', 'No.');
    });
    await runTasks(plan([growing, skipped, failing, task(4)]), { ...options(follower), concurrency: 1 });
    expect(sizes).toEqual([110, 120]);
    expect(follower).toMatchObject({ size: 21, bytes: 21, unmeasured: 0 });
  });

  it.each([1, 100])('plans no further ahead than it has to, when a task has %i objects', async (count) => {
    const follower = new Recorder();
    let planned = 0;
    async function* endless(): AsyncGenerator<Planned<number>, void, undefined> {
      for (;;) yield { ...task(planned++), count };
    }
    const stop = new AbortController();
    const tasks = endless();
    const waiting = runTasks(
      (async function* () {
        for await (const each of tasks)
          yield 'run' in each ? { ...each, run: () => delay(1e6, { done: [0] }, { signal: stop.signal }) } : each;
      })(),
      options(follower, stop.signal),
    );
    await delay(50);
    stop.abort(new Interrupted('SIGINT', 130));
    await expect(waiting).rejects.toMatchObject({ name: 'Interrupted' });
    expect(planned * count).toBeLessThanOrEqual(2000 + 5 * count);
  });

  it('ends with the reason of its signal, once what was under way has been cleaned up', async () => {
    const follower = new Recorder();
    const stop = new AbortController();
    const left: string[] = [];
    const slow: Task<number> = {
      ...task(1, ({ signal }) => delay(1e6, undefined, { signal })),
      abandon: async () => {
        await delay(5);
        left.push('clean');
      },
    };
    let isPlanning = true;
    async function* endless(): AsyncGenerator<Planned<number>, void, undefined> {
      try {
        yield task(0);
        for (;;) yield slow;
      } finally {
        isPlanning = false;
      }
    }
    const running = runTasks(endless(), { ...options(follower, stop.signal), concurrency: 2 });
    setTimeout(() => stop.abort(new Interrupted('SIGINT', 130)), 10);
    await expect(running).rejects.toMatchObject({ name: 'Interrupted', exitCode: 130 });
    expect({ left, done: follower.done, failures: follower.failures }).toEqual({ left: ['clean', 'clean'], done: [0], failures: [] });
    await expect.poll(() => isPlanning).toBe(false);
  });

  it('does what was planned before the plan failed', async () => {
    const follower = new Recorder();
    async function* broken(): AsyncGenerator<Planned<number>, void, undefined> {
      yield task(0);
      yield task(1);
      throw storageError('no_such_bucket', 'Gone.');
    }
    await expect(runTasks(broken(), options(follower))).rejects.toMatchObject({ code: 'no_such_bucket' });
    expect(follower.done).toEqual([0, 1]);
  });
});
