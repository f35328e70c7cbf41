import type * as files from 'node:fs';
import { existsSync } from 'node:fs';
import type * as promises from 'node:fs/promises';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';

import { bodyOf, noContext } from '@coffer/storage-core';
import { afterEach, expect, it, vi } from 'vitest';

import { localBackend } from './backend.ts';
import { leftoversIn, scratch } from './testing/storage.ts';

let lookFailure: string | undefined;
let syncFailure: string | undefined;
vi.mock('node:fs', async (original) => {
  const real = await original<typeof files>();
  const lstatSync = (...call: Parameters<typeof real.lstatSync>): unknown => {
    if (lookFailure !== undefined && basename(String(call[0])) === bucket)
      throw Object.assign(new Error(lookFailure), { code: lookFailure });
    return real.lstatSync(...call);
  };
  const fsync: (...call: Parameters<typeof real.fsync>) => void = (fd, done) => {
    if (syncFailure !== undefined && real.fstatSync(fd).isDirectory()) done(Object.assign(new Error(syncFailure), { code: syncFailure }));
    else real.fsync(fd, done);
  };
  return { ...real, lstatSync, fsync };
});
let linkFailure: string | undefined;
let onLinked: (() => Promise<unknown>) | undefined;
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof promises>();
  const link: typeof real.link = async (...names) => {
    if (linkFailure !== undefined) throw Object.assign(new Error(linkFailure), { code: linkFailure });
    await real.link(...names);
    await onLinked?.();
  };
  return { ...real, link };
});
afterEach(() => {
  lookFailure = undefined;
  linkFailure = undefined;
  onLinked = undefined;
  syncFailure = undefined;
  vi.restoreAllMocks();
});

const bucket = 'bucket';

// exFAT and FAT: EPERM; CIFS: EOPNOTSUPP; ext4 after 65,000 names: EMLINK; FUSE: whatever its author chose.
it.each(['EPERM', 'EMLINK', 'EXDEV', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL', 'ESTALE', 'EACCES', 'EEXIST'])(
  'copies the bytes where a link is %s',
  async (code) => {
    const { path, remove } = await scratch();
    const backend = localBackend({ root: path });
    await backend.buckets!.create(bucket, {}, noContext);
    await backend.put({ bucket, key: 'a' }, { kind: 'buffer', data: Buffer.from('bytes') }, { contentType: 'a/b' }, noContext);
    linkFailure = code;
    expect(await backend.copy({ bucket, key: 'a' }, { bucket, key: 'b' }, {}, noContext)).toMatchObject({ size: 5 });
    expect(await leftoversIn(path, backend)).toEqual([]);
    await backend.close();
    await remove();
  },
);

it('removes a bucket whose directory is out of reach for a moment, and leaves the directory to the sweep', async () => {
  const { path, remove } = await scratch();
  const backend = localBackend({ root: path });
  await backend.buckets!.create(bucket, {}, noContext);
  lookFailure = 'EACCES';
  await backend.buckets!.delete(bucket, {}, noContext);
  lookFailure = undefined;
  await expect(backend.buckets!.head(bucket, noContext)).rejects.toMatchObject({ code: 'no_such_bucket' });
  await backend.maintenance!.sweep({ olderThan: 0 }, noContext);
  expect(existsSync(join(path, bucket))).toBe(false);
  await backend.close();
  await remove();
});

it('says that a disk failed which a sweep cannot read', async () => {
  const { path, remove } = await scratch();
  const backend = localBackend({ root: path });
  await backend.buckets!.create(bucket, {}, noContext);
  await mkdir(join(path, bucket, '00'));
  await writeFile(join(path, bucket, '00', '0'.repeat(32)), 'bytes of a killed process');
  lookFailure = 'EIO';
  await expect(backend.maintenance!.sweep({ olderThan: -1 }, noContext)).rejects.toMatchObject({ code: 'storage_unavailable' });
  lookFailure = undefined;
  expect(await backend.maintenance!.sweep({ olderThan: -1 }, noContext)).toMatchObject({ removed: 1 });
  await backend.close();
  await remove();
});

it('refuses a copy into a bucket that is deleted and swept meanwhile', async () => {
  const { path, remove } = await scratch();
  const backend = localBackend({ root: path });
  for (const name of [bucket, 'doomed']) await backend.buckets!.create(name, {}, noContext);
  await backend.put({ bucket, key: 'a' }, { kind: 'buffer', data: Buffer.from('bytes') }, { contentType: 'a/b' }, noContext);
  let deleting: Promise<void> | undefined;
  onLinked = async () => {
    await (deleting ??= backend.buckets!.delete('doomed', {}, noContext));
    await backend.maintenance!.sweep({ olderThan: -1 }, noContext);
  };
  await expect(backend.copy({ bucket, key: 'a' }, { bucket: 'doomed', key: 'a' }, {}, noContext)).rejects.toMatchObject({
    code: 'no_such_bucket',
  });
  await backend.close();
  await remove();
});

it.each(['EINVAL', 'EBADF', 'ENOTSUP'])('works where directories take no sync (%s)', async (code) => {
  syncFailure = code;
  await storesAndReads();
});

it("works with handles that cannot sync, as under Yarn's Plug'n'Play", async () => {
  const any = await open('/dev/null');
  const handles = Object.getPrototypeOf(any) as promises.FileHandle;
  await any.close();
  for (const name of ['sync', 'datasync'] as const) vi.spyOn(handles, name).mockRejectedValue(new Error('Method not implemented.'));
  await storesAndReads();
});

async function storesAndReads(): Promise<void> {
  const { path, remove } = await scratch();
  const backend = localBackend({ root: path });
  await backend.buckets!.create(bucket, {}, noContext);
  // The second is large enough to be synced while it arrives.
  for (const size of [5, 40 * 1024 * 1024]) {
    const data = Readable.from(Array.from({ length: Math.ceil(size / 2 ** 20) }, () => Buffer.alloc(Math.min(size, 2 ** 20))));
    await backend.put({ bucket, key: 'a' }, bodyOf(data), { contentType: 'a/b' }, noContext);
    expect(await backend.head({ bucket, key: 'a' }, noContext)).toMatchObject({ size });
  }
  await backend.close();
  await remove();
}
