import { existsSync } from 'node:fs';
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import { noContext } from '@coffer/storage-core';
import type { SweepReport } from '@coffer/storage-core';
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest';

import { localBackend } from './backend.ts';
import type { LocalBackend } from './backend.ts';
import { ObjectIndex } from './object-index.ts';
import { filesIn, scratch } from './testing/storage.ts';
import { countPerTurn } from './testing/turns.ts';

let root: string;
let backend: LocalBackend;
let remove: () => Promise<void>;

beforeEach(async () => {
  ({ path: root, remove } = await scratch());
  backend = localBackend({ root });
  await backend.buckets!.create('bucket', {}, noContext);
});

afterEach(async () => {
  await backend.close();
  await remove();
});

const sweep = (olderThan: number, dryRun = false): Promise<unknown> => backend.maintenance!.sweep({ olderThan, dryRun }, noContext);
const put = (key: string): Promise<unknown> =>
  backend.put({ bucket: 'bucket', key }, { kind: 'buffer', data: Buffer.from(key) }, { contentType: 'a/b' }, noContext);

/** Bytes without a row, as left by a process killed in between. */
async function orphan(bucket: string, id: string): Promise<string> {
  const directory = join(root, bucket, id.slice(-2));
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, id), 'orphan');
  return join(bucket, id.slice(-2), id);
}

it('removes bytes without an object, and nothing else', async () => {
  await put('kept');
  const kept = await filesIn(root);
  await orphan('bucket', '0'.repeat(32));
  await orphan('bucket', `${'1'.repeat(30)}ab`);
  await orphan('a-bucket-that-is-gone', '2'.repeat(32));
  const foreign = ['README', 'bucket/README', 'bucket/ab/README', 'Not-A-Bucket/ab/x'];
  for (const path of foreign) {
    await mkdir(join(root, path, '..'), { recursive: true });
    await writeFile(join(root, path), 'somebody put this here');
  }
  expect(await sweep(0, true)).toEqual({ removed: 3, bytes: 18 });
  expect(await sweep(0)).toEqual({ removed: 3, bytes: 18 });
  expect(await filesIn(root)).toEqual([...kept, ...foreign].sort());
  expect(await sweep(0)).toEqual({ removed: 0, bytes: 0 });
});

it('removes however many there are, also behind hundreds that stay', async () => {
  for (let index = 0; index < 1001; index++) await orphan('bucket', `${index.toString(16).padStart(30, '0')}ab`);
  await delay(10); // file systems have finer timestamps than sweeps
  const looking = vi.spyOn(ObjectIndex.prototype, 'unowned').mockResolvedValueOnce([]); // as if the first were those of objects
  onTestFinished(() => looking.mockRestore());
  expect(await sweep(0)).toEqual({ removed: 501, bytes: 501 * 6 });
  expect(await sweep(0)).toEqual({ removed: 500, bytes: 500 * 6 });
});

it('lets other work go on while it looks through a large directory', async () => {
  for (let index = 0; index < 2001; index++) await orphan('bucket', `${index.toString(16).padStart(30, '0')}ab`);
  const { count, most } = countPerTurn();
  const { unowned } = ObjectIndex.prototype;
  const looking = vi.spyOn(ObjectIndex.prototype, 'unowned').mockImplementation(async function (this: ObjectIndex, blobs) {
    const found = await unowned.call(this, blobs);
    count();
    return found;
  });
  onTestFinished(() => looking.mockRestore());
  await sweep(0, true);
  expect(looking.mock.calls.map(([blobs]) => blobs.length)).toEqual([500, 500, 500, 500, 1]);
  expect(most()).toBe(1);
});

it('removes them from just one bucket when it is told so', async () => {
  await orphan('bucket', '4'.repeat(32));
  await orphan('another-bucket', '5'.repeat(32));
  const upload = join(root, '.tmp', 'another-host-1-1-0123456789ab', '0'); // the bucket of an unfinished upload is unknown
  await mkdir(dirname(upload), { recursive: true });
  await writeFile(upload, 'upload');
  const long = new Date(Date.now() - 100 * 3600 * 1000);
  for (const path of [upload, dirname(upload)]) await utimes(path, long, long);
  await delay(10); // file systems have finer timestamps than sweeps
  const inOne = (bucket: string): Promise<unknown> => backend.maintenance!.sweep({ olderThan: 0, bucket }, noContext);
  expect(await inOne('bucket')).toEqual({ removed: 1, bytes: 6 });
  expect(await inOne('bucket')).toEqual({ removed: 0, bytes: 0 });
  expect(existsSync(upload)).toBe(true);
  expect(await sweep(0)).toEqual({ removed: 2, bytes: 12 });
});

it('spares an upload that another machine still writes, and its own however long they pause', async () => {
  const long = new Date(Date.now() - 100 * 3600 * 1000);
  const stream = new PassThrough();
  const own = backend.put({ bucket: 'bucket', key: 'own' }, { kind: 'stream', stream }, { contentType: 'a/b' }, noContext);
  stream.write(Buffer.alloc(4 << 20));
  const uploads = async (): Promise<readonly string[]> => (await filesIn(root)).filter((path) => path.startsWith('.tmp'));
  await expect.poll(uploads).toHaveLength(1);
  const [paused = ''] = await uploads();
  for (const path of [paused, dirname(paused)]) await utimes(join(root, path), long, long);
  const foreign = join(root, '.tmp', 'another-host-1-1-0123456789ab', '0');
  await mkdir(dirname(foreign));
  await writeFile(foreign, 'upload');
  await utimes(dirname(foreign), long, long);
  await sweep(0);
  expect(await uploads()).toHaveLength(2);
  stream.end();
  await own;
});

it('removes the directories of buckets that are gone, and of no others', async () => {
  await mkdir(join(root, 'gone', 'ab'), { recursive: true });
  await orphan('gone-too', '6'.repeat(32));
  await delay(10); // file systems have finer timestamps than sweeps
  await sweep(0, true);
  expect(existsSync(join(root, 'gone', 'ab'))).toBe(true);
  await sweep(0);
  expect(['gone', 'gone-too', 'bucket'].map((name) => existsSync(join(root, name)))).toEqual([false, false, true]);
});

it('spares blobs younger than asked, by when they were placed rather than by the age of their bytes', async () => {
  const path = join(root, await orphan('bucket', '3'.repeat(32)));
  const long = new Date(Date.now() - 100 * 3600 * 1000);
  await utimes(path, long, long);
  await delay(10); // file systems have finer timestamps than sweeps
  expect(await sweep(3600)).toEqual({ removed: 0, bytes: 0 });
  expect(await sweep(0)).toEqual({ removed: 1, bytes: 6 });
});

it('never takes the bytes of an object, even beside writers and without a minimum age', async () => {
  let over = false;
  const sweeping = (async () => {
    while (!over) await sweep(-1);
  })();
  const writes = await Promise.allSettled(Array.from({ length: 200 }, (_, index) => put(`k${index}`)));
  over = true;
  await sweeping;
  const written = writes.flatMap((write, index) => (write.status === 'fulfilled' ? [`k${index}`] : []));
  // A write whose bytes were swept before its row was committed got an error.
  for (const write of writes)
    if (write.status === 'rejected') expect(write.reason).toMatchObject({ code: 'storage_unavailable', retryable: true });
  for (const key of written) {
    const result = await backend.get({ bucket: 'bucket', key }, {}, noContext);
    expect(result.kind).toBe('object');
    if (result.kind === 'object') result.body.destroy();
  }
  const { objects } = await backend.list('bucket', {}, noContext);
  expect(objects.map(({ key }) => key).sort()).toEqual(written.sort());
});

it('may run beside another: each takes what the other has not', async () => {
  for (let index = 0; index < 3; index++) await orphan('bucket', String(index).repeat(32));
  await delay(10); // file systems have finer timestamps than sweeps
  const reports = (await Promise.all([sweep(0), sweep(0)])) as SweepReport[];
  expect(reports.reduce((sum, { removed }) => sum + removed, 0)).toBe(3);
});

it('ends when it is aborted, also while it runs', async () => {
  for (let index = 0; index < 3; index++) await orphan('bucket', String(index).repeat(32));
  const reason = new Error('enough');
  const cancel = new AbortController();
  const sweeping = backend.maintenance!.sweep({ olderThan: 0 }, { signal: cancel.signal });
  cancel.abort(reason);
  await expect(sweeping).rejects.toBe(reason);
  await expect(backend.maintenance!.sweep({ olderThan: 0 }, { signal: cancel.signal })).rejects.toBe(reason);
});
