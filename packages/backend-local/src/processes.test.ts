import { mkdir, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import { noContext } from '@coffer/storage-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { localBackend } from './backend.ts';
import type { LocalBackend } from './backend.ts';
import { startChild } from './testing/child.ts';
import type { Child } from './testing/child.ts';
import { filesIn, scratch } from './testing/storage.ts';

let root: string;
let backend: LocalBackend;
let remove: () => Promise<void>;
let neighbour: Child;

/** Sends an order to the other process. @returns its answer */
async function tell(verb: string, key = ''): Promise<unknown> {
  const before = neighbour.lines.length;
  neighbour.process.stdin!.write(`${JSON.stringify({ verb, key })}\n`);
  while (neighbour.lines.length === before) await new Promise((resolve) => setTimeout(resolve, 2));
  return JSON.parse(neighbour.lines[before]!);
}

const put = (key: string, text = key): Promise<unknown> =>
  backend.put({ bucket: 'bucket', key }, { kind: 'buffer', data: Buffer.from(text) }, { contentType: 'a/b' }, noContext);
/** Bytes in temporary files. */
const bytesUnderWay = async (): Promise<number> => {
  const sizes = (await temporary()).map(async (path) => (await stat(join(root, path))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
};
const temporary = async (): Promise<readonly string[]> => (await filesIn(root)).filter((path) => path.startsWith('.tmp'));

beforeEach(async () => {
  ({ path: root, remove } = await scratch());
  backend = localBackend({ root });
  await backend.buckets!.create('bucket', {}, noContext);
  neighbour = startChild(new URL('./testing/neighbour.ts', import.meta.url), [root]);
});

afterEach(async () => {
  neighbour.process.kill('SIGKILL');
  await neighbour.ended;
  await backend.close();
  await remove();
});

describe('two processes on one directory', () => {
  it('see what the other one writes and deletes, at once', async () => {
    await put('mine');
    expect(await tell('get', 'mine')).toBe('mine');
    expect(await tell('put', 'theirs')).toBe('done');
    expect((await backend.head({ bucket: 'bucket', key: 'theirs' }, noContext)).size).toBe(6);
    await backend.delete({ bucket: 'bucket', key: 'theirs' }, noContext);
    expect(await tell('get', 'theirs')).toBe('file_not_found');
    expect(await tell('delete', 'mine')).toBe('done');
    await expect(backend.head({ bucket: 'bucket', key: 'mine' }, noContext)).rejects.toMatchObject({ code: 'file_not_found' });
  });

  it('write at the same time without losing anything', async () => {
    const theirs = tell('many', 'theirs');
    for (let index = 0; index < 300; index++) await put(`mine/${index}`);
    expect(await theirs).toBe('done');
    for (const prefix of ['mine/', 'theirs/']) expect((await backend.list('bucket', { prefix }, noContext)).objects).toHaveLength(300);
    expect(await tell('list', 'mine/')).toHaveLength(300);
    expect(await backend.maintenance!.sweep({ olderThan: 0, dryRun: true }, noContext)).toEqual({ removed: 0, bytes: 0 });
  });

  it('may come and go: what one closes the other still uses', async () => {
    await put('mine');
    expect(await tell('get', 'mine')).toBe('mine');
    // The WAL that this process syncs must remain the one that SQLite writes to.
    const log = async (): Promise<number> => (await stat(join(root, 'index.db-wal'))).ino;
    const before = await log();
    neighbour.process.stdin!.write('{"verb":"close","key":""}\n');
    expect(await neighbour.ended).toBe(0);
    expect(await log()).toBe(before);
    await put('later');
    expect(await log()).toBe(before);
    expect((await backend.list('bucket', {}, noContext)).objects).toHaveLength(2);
  });
});

describe('temporary files', () => {
  it('of a living process stay, whoever opens the storage or sweeps it; of a killed one they go', async () => {
    expect(await tell('hang', 'big')).toBe('hanging');
    await expect.poll(bytesUnderWay).toBeGreaterThan(1_000_000);
    expect(await temporary()).toHaveLength(1);
    const third = localBackend({ root });
    await third.maintenance!.sweep({ olderThan: 0 }, noContext);
    expect(await temporary()).toHaveLength(1);
    neighbour.process.kill('SIGKILL');
    await neighbour.ended;
    expect(await third.maintenance!.sweep({ olderThan: 3600 }, noContext)).toEqual({ removed: 0, bytes: 0 });
    const report = await third.maintenance!.sweep({ olderThan: 0, dryRun: true }, noContext);
    expect(report.removed).toBe(1);
    expect(report.bytes).toBeGreaterThan(1_000_000);
    await third.close();
    expect(await temporary()).toHaveLength(1);
    const next = localBackend({ root });
    await next.check(noContext);
    expect(await temporary()).toEqual([]);
    await next.close();
  });

  it('of another storage object in this process stay', async () => {
    const stream = new Readable({ read() {} });
    stream.push(Buffer.alloc(3_000_000));
    const upload = backend.put({ bucket: 'bucket', key: 'slow' }, { kind: 'stream', stream }, { contentType: 'a/b' }, noContext);
    while ((await temporary()).length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const second = localBackend({ root });
    await second.check(noContext);
    stream.push(null);
    await upload;
    await second.close();
  });

  it('of other machines and unknown owners go by their age, those of an earlier process with our pid at once', async () => {
    const host = hostname().replaceAll(/[^A-Za-z0-9.-]/g, '_');
    const day = 24 * 3600 * 1000;
    const plant = async (name: string, age: number): Promise<string> => {
      const directory = join(root, '.tmp', name);
      await mkdir(directory, { recursive: true });
      const file = join(directory, '0');
      await writeFile(file, 'half');
      const time = new Date(Date.now() - age);
      await utimes(file, time, time);
      await utimes(directory, time, time);
      return join('.tmp', name, '0');
    };
    const kept = await Promise.all([plant('elsewhere-1-5-0123456789ab', day / 2), plant('unknown', day / 2)]);
    await plant('elsewhere-1-6-0123456789ab', day * 2); // its machine may be gone for good
    await plant('long-unknown', day * 2);
    await plant(`${host}-${process.pid}-5-0123456789ab`, 0); // all processes of a container may get the same pid
    const next = localBackend({ root });
    await next.check(noContext);
    await next.close();
    expect(await temporary()).toEqual([...kept].sort());
  });
});
