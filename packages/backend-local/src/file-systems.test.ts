import type * as promises from 'node:fs/promises';
import { open } from 'node:fs/promises';

import { noContext } from '@coffer/storage-core';
import { afterEach, expect, it, vi } from 'vitest';

import { localBackend } from './backend.ts';
import { leftoversIn, scratch } from './testing/storage.ts';

let linkFailure: string | undefined;
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof promises>();
  const link: typeof real.link = async (...names) => {
    if (linkFailure !== undefined) throw Object.assign(new Error(linkFailure), { code: linkFailure });
    return real.link(...names);
  };
  return { ...real, link };
});
afterEach(() => {
  linkFailure = undefined;
  vi.restoreAllMocks();
});

const bucket = 'bucket';

// exFAT and FAT: EPERM; CIFS: EOPNOTSUPP; ext4 after 65,000 names: EMLINK; FUSE: what its author chose.
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

it.each(['EINVAL', 'EBADF', 'ENOTSUP'])('works where directories take no sync (%s)', async (code) => {
  const { path, remove } = await scratch();
  const any = await open('/dev/null');
  const handles = Object.getPrototypeOf(any) as promises.FileHandle;
  await any.close();
  const { sync } = handles;
  vi.spyOn(handles, 'sync').mockImplementation(async function (this: promises.FileHandle) {
    if ((await this.stat()).isDirectory()) throw Object.assign(new Error(code), { code });
    return sync.call(this);
  });
  const backend = localBackend({ root: path });
  await backend.buckets!.create(bucket, {}, noContext);
  await backend.put({ bucket, key: 'a' }, { kind: 'buffer', data: Buffer.from('bytes') }, { contentType: 'a/b' }, noContext);
  expect(await backend.head({ bucket, key: 'a' }, noContext)).toMatchObject({ size: 5 });
  await backend.close();
  await remove();
});
