import type { Runtime } from '@coffer/runtime';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { sweepRegularly } from './sweeper.ts';

const minute = 60_000;
let outcome: () => Promise<unknown>;
let sweeps: number;
const lines: string[] = [];
const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) });
const runtime = {
  config: { storage: { enabled: true } },
  files: { sweep: () => (sweeps++, outcome()) },
  storage: { backend: {} },
} as unknown as Runtime;

beforeEach(() => {
  [sweeps, outcome] = [0, async () => ({})];
  lines.length = 0;
  vi.useFakeTimers();
});
afterEach(() => void vi.useRealTimers());

it('sweeps one or two minutes after the start, and every hour from then on, until it is ended', async () => {
  const end = sweepRegularly(runtime, log);
  await vi.advanceTimersByTimeAsync(minute - 1);
  expect(sweeps).toBe(0);
  await vi.advanceTimersByTimeAsync(minute + 1);
  expect(sweeps).toBe(1);
  await vi.advanceTimersByTimeAsync(120 * minute);
  expect(sweeps).toBe(3);
  await end();
  await vi.advanceTimersByTimeAsync(120 * minute);
  expect(sweeps).toBe(3);
});

it('ends a running sweep before the database and the storage are closed', async () => {
  const ended: string[] = [];
  const sweep: Runtime['files']['sweep'] = async (_request, ctx) => {
    await new Promise((resolve) => ctx?.signal?.addEventListener('abort', resolve));
    await Promise.resolve(); // cleans up first
    ended.push('the sweep');
    throw ctx?.signal?.reason;
  };
  const end = sweepRegularly({ ...runtime, files: { sweep } } as unknown as Runtime, log);
  await vi.advanceTimersByTimeAsync(2 * minute);
  await end();
  ended.push('the rest');
  expect([ended, lines]).toEqual([['the sweep', 'the rest'], []]);
});

it('sweeps never where it is ended before the first time', async () => {
  await sweepRegularly(runtime, log)();
  await vi.advanceTimersByTimeAsync(120 * minute);
  expect(sweeps).toBe(0);
});

it('leaves alone for a day what is unfinished, and all that lies in the buckets of others', async () => {
  const files = vi.fn<() => Promise<unknown>>(async () => ({}));
  const objects = vi.fn<Runtime['storage']['sweep']>(async () => ({ uploads: 0 }) as never);
  const ours = vi.fn<Runtime['tenants']['ours']>(async (buckets) => buckets.filter((bucket) => bucket === 'acme-uploads'));
  const end = sweepRegularly(
    {
      config: { storage: { enabled: true } },
      files: { sweep: files },
      storage: { backend: { maintenance: {} }, sweep: objects },
      tenants: { ours },
    } as unknown as Runtime,
    log,
  );
  await vi.advanceTimersByTimeAsync(2 * minute);
  await end();
  const ctx = { signal: expect.any(AbortSignal) };
  expect(files.mock.calls).toEqual([[{ olderThanSeconds: 24 * 60 * 60 }, ctx]]);
  expect(objects.mock.calls).toEqual([[{ olderThan: 24 * 60 * 60, among: expect.any(Function) }, ctx]]);
  expect(await objects.mock.calls[0]?.[0].among?.(['acme-uploads', 'a-stranger'])).toEqual(['acme-uploads']);
});

it('has nothing to sweep where storage is switched off', async () => {
  const end = sweepRegularly({ ...runtime, config: { storage: { enabled: false } } } as unknown as Runtime, log);
  await vi.advanceTimersByTimeAsync(120 * minute);
  await end();
  expect(sweeps).toBe(0);
});

it('processes that start together do not sweep at one moment', async () => {
  const ends = Array.from({ length: 20 }, () => sweepRegularly(runtime, log));
  await vi.advanceTimersByTimeAsync(minute);
  const moments = new Set<number>();
  for (let second = 0; second < 60; second++) {
    const before = sweeps;
    await vi.advanceTimersByTimeAsync(1000);
    if (sweeps > before) moments.add(second);
  }
  expect(sweeps).toBe(20);
  expect(moments.size).toBeGreaterThan(2);
  for (const end of ends) await end();
});

it('tries again after a sweep that failed, and begins none while one is under way', async () => {
  const end = sweepRegularly(runtime, log);
  outcome = () => Promise.reject(new Error('the database is away'));
  await vi.advanceTimersByTimeAsync(2 * minute);
  expect(lines).toEqual([expect.stringContaining('the sweep failed and will be tried again')]);
  const slow = Promise.withResolvers<unknown>();
  outcome = () => slow.promise;
  await vi.advanceTimersByTimeAsync(180 * minute);
  expect(sweeps).toBe(2);
  slow.resolve({});
  await vi.advanceTimersByTimeAsync(60 * minute);
  expect(sweeps).toBe(3);
  await end();
});
