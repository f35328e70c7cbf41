import { lstat, mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { noContext, readAll } from '@coffer/storage-core';
import type { ObjectInfo } from '@coffer/storage-core';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { localBackend } from './backend.ts';
import type { LocalBackend } from './backend.ts';
import { filesIn, scratch } from './testing/storage.ts';

let path: string;
let root: string;
let outside: string;
let backend: LocalBackend;
let remove: () => Promise<void>;

beforeEach(async () => {
  ({ path, remove } = await scratch());
  root = join(path, 'root');
  outside = join(path, 'outside');
  await mkdir(outside);
  backend = localBackend({ root });
  for (const bucket of ['bucket', 'other']) await backend.buckets!.create(bucket, {}, noContext);
  await put('bucket', 'object');
  await put('other', 'object');
});

afterEach(async () => {
  await backend.close();
  await remove();
});

const put = (bucket: string, key: string): Promise<ObjectInfo> =>
  backend.put({ bucket, key }, { kind: 'buffer', data: Buffer.from('bytes') }, { contentType: 'a/b' }, noContext);

const denied = { code: 'access_denied' };

it('a bucket directory that was replaced by a link is not followed, by any operation', async () => {
  await rename(join(root, 'bucket'), outside);
  await symlink(outside, join(root, 'bucket'));
  const before = await filesIn(outside);
  const at = { bucket: 'bucket', key: 'object' };
  await expect(put('bucket', 'new')).rejects.toMatchObject(denied);
  await expect(put('bucket', 'object')).rejects.toMatchObject(denied);
  await expect(backend.get(at, {}, noContext)).rejects.toMatchObject(denied);
  await expect(backend.copy({ bucket: 'other', key: 'object' }, { bucket: 'bucket', key: 'copy' }, {}, noContext)).rejects.toMatchObject(
    denied,
  );
  await expect(backend.copy(at, { bucket: 'other', key: 'copy' }, {}, noContext)).rejects.toMatchObject(denied);
  await backend.maintenance!.sweep({ olderThan: 0 }, noContext);
  await backend.delete(at, noContext); // the row goes; bytes outside are not ours
  await expect(backend.buckets!.delete('bucket', { force: true }, noContext)).rejects.toMatchObject(denied);
  expect(await filesIn(outside)).toEqual(before);
  expect((await filesIn(root)).filter((file) => file.startsWith('.tmp'))).toEqual([]);
  await put('other', 'still-works');
});

it('a bucket directory that is back in its place is used again', async () => {
  await backend.buckets!.create('moved', {}, noContext);
  await rename(join(root, 'moved'), join(outside, 'moved'));
  await symlink(join(outside, 'moved'), join(root, 'moved'));
  await expect(put('moved', 'new')).rejects.toMatchObject(denied);
  await rm(join(root, 'moved'));
  await rename(join(outside, 'moved'), join(root, 'moved'));
  await put('moved', 'new');
});

it('a directory of bytes inside a bucket that was replaced by a link is not followed', async () => {
  for (const shard of await readdir(join(root, 'bucket'))) {
    await rm(join(root, 'bucket', shard), { recursive: true });
    await symlink(outside, join(root, 'bucket', shard));
  }
  await expect(put('bucket', 'new')).rejects.toMatchObject(denied);
  await expect(backend.get({ bucket: 'bucket', key: 'object' }, {}, noContext)).rejects.toMatchObject(denied);
  expect(await readdir(outside)).toEqual([]);
});

it('bytes that were replaced by a link are not served', async () => {
  await writeFile(join(outside, 'secret'), 'a secret of the machine');
  const [blob = ''] = await filesIn(join(root, 'bucket'));
  await rm(join(root, 'bucket', blob));
  await symlink(join(outside, 'secret'), join(root, 'bucket', blob));
  await expect(backend.get({ bucket: 'bucket', key: 'object' }, {}, noContext)).rejects.toMatchObject(denied);
});

it('a link in the place of a new bucket is refused', async () => {
  await symlink(outside, join(root, 'planted'));
  await expect(backend.buckets!.create('planted', {}, noContext)).rejects.toMatchObject(denied);
  await expect(backend.buckets!.head('planted', noContext)).rejects.toMatchObject({ code: 'no_such_bucket' });
  expect(await readdir(outside)).toEqual([]);
});

it.each(['.tmp', 'index.db'])('%s as a link keeps the storage from being opened', async (name) => {
  await backend.close();
  await rename(join(root, name), join(outside, 'moved'));
  await symlink(join(outside, 'moved'), join(root, name));
  backend = localBackend({ root });
  await expect(backend.check(noContext)).rejects.toMatchObject(denied);
  await rm(join(root, name));
  await rename(join(outside, 'moved'), join(root, name));
  await backend.check(noContext); // after a failed opening, the next call tries again
});

it('the root itself may be a link: operators place storage that way', async () => {
  const link = join(path, 'link');
  await symlink(root, link);
  const linked = localBackend({ root: link });
  const result = await linked.get({ bucket: 'bucket', key: 'object' }, {}, noContext);
  expect(result.kind === 'object' && (await readAll(result.body)).toString()).toBe('bytes');
  await linked.close();
});

it('the storage is created for its owner alone', async () => {
  for (const name of ['', 'bucket']) expect((await lstat(join(root, name))).mode & 0o077).toBe(0);
});
