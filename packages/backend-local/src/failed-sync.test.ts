import type * as files from 'node:fs';
import { existsSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { noContext } from '@coffer/storage-core';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { localBackend } from './backend.ts';
import type { LocalBackend } from './backend.ts';
import { IndexFile } from './index-file.ts';
import { filesIn, scratch } from './testing/storage.ts';

const failure = vi.hoisted(() => ({ path: '', left: 0 }));
vi.mock('node:fs', async (original) => {
  const real = await original<typeof files>();
  const fdatasync: (...call: Parameters<typeof real.fdatasync>) => void = (fd, done) => {
    if (failure.left > 0 && real.fstatSync(fd).ino === real.statSync(failure.path).ino) {
      failure.left--;
      done(Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' }));
    } else real.fdatasync(fd, done);
  };
  return { ...real, fdatasync };
});

let root: string;
let remove: () => Promise<void>;
let backend: LocalBackend;
beforeEach(async () => {
  ({ path: root, remove } = await scratch());
  backend = localBackend({ root });
  await backend.buckets!.create('bucket', {}, noContext);
  failure.path = join(root, 'index.db-wal');
});
afterEach(async () => {
  failure.left = 0;
  await backend.close();
  await remove();
});

const at = (key: string): { readonly bucket: string; readonly key: string } => ({ bucket: 'bucket', key });
const put = (key: string): Promise<unknown> =>
  backend.put(at(key), { kind: 'buffer', data: Buffer.from(key) }, { contentType: 'a/b' }, noContext);
/** The objects that the index has without its log. */
async function keysWithoutLog(): Promise<readonly unknown[]> {
  const alone = join(root, 'without-log.db');
  await copyFile(join(root, 'index.db'), alone);
  const db = new DatabaseSync(alone);
  const rows = db.prepare('SELECT CAST(key AS TEXT) AS key FROM objects').all();
  db.close();
  return rows.map(({ key }) => key);
}
const failedDisk = { code: 'storage_unavailable', message: 'The disk reported an error.' };

it('after a failed sync of the log, the next write does not rest on what the log may have lost', async () => {
  failure.left = 1;
  await expect(put('a')).rejects.toMatchObject(failedDisk);
  await put('b');
  expect(await keysWithoutLog()).toEqual(['a', 'b']);
});

it('another process that opens the index after a failed sync of the log does not rest on the log either', async () => {
  failure.left = 1;
  await expect(put('a')).rejects.toMatchObject(failedDisk);
  const next = localBackend({ root });
  await next.put(at('b'), { kind: 'buffer', data: Buffer.from('b') }, { contentType: 'a/b' }, noContext);
  expect(await keysWithoutLog()).toEqual(['a', 'b']);
  await next.put(at('c'), { kind: 'buffer', data: Buffer.from('c') }, { contentType: 'a/b' }, noContext);
  expect(await keysWithoutLog()).toEqual(['a', 'b']);
  await next.close();
});

it('a delete that finds the object gone is not acknowledged before its absence is durable', async () => {
  await put('a');
  failure.left = 2;
  await expect(backend.delete(at('a'), noContext)).rejects.toMatchObject(failedDisk);
  await expect(backend.delete(at('a'), noContext)).rejects.toMatchObject(failedDisk);
  await backend.delete(at('a'), noContext);
});

it('a sweep removes no bytes whose row a power loss may bring back', async () => {
  await put('a');
  const placed = await filesIn(root);
  failure.left = 2;
  await expect(backend.delete(at('a'), noContext)).rejects.toMatchObject(failedDisk);
  await expect(backend.maintenance!.sweep({ olderThan: 0 }, noContext)).rejects.toMatchObject(failedDisk);
  expect(await filesIn(root)).toEqual(placed);
  expect(await backend.maintenance!.sweep({ olderThan: 0 }, noContext)).toEqual({ removed: 1, bytes: 1 });
});

it('after a failed sync of the log, the next one waits until no other process reads', async () => {
  const index = await IndexFile.open(join(root, 'index.db'));
  const other = new DatabaseSync(join(root, 'index.db'));
  try {
    failure.left = 1;
    await expect(index.durable()).rejects.toMatchObject(failedDisk);
    other.exec('BEGIN; SELECT * FROM objects');
    const durable = index.durable(); // has tried once when it returns
    other.exec('COMMIT');
    await durable;
  } finally {
    other.close();
    await index.close();
  }
});

it('after a failed sync of the log, a full disk does not keep removals from being acknowledged', async () => {
  const index = await IndexFile.open(join(root, 'index.db'));
  try {
    failure.left = 1;
    await expect(index.durable()).rejects.toMatchObject(failedDisk);
    // A disk on which the database has no room to grow, except for that of the reserve.
    const prepare = index.db.prepare.bind(index.db);
    vi.spyOn(index.db, 'prepare').mockImplementation((sql) => {
      if (!existsSync(join(root, 'index.db-reserve'))) return prepare(sql);
      throw Object.assign(new Error('database or disk is full'), { code: 'ERR_SQLITE_ERROR', errcode: 13 });
    });
    await index.durable();
  } finally {
    await index.close();
  }
});
