import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { noContext } from '@coffer/storage-core';
import { expect, it } from 'vitest';

import { localBackend } from './backend.ts';
import type { LocalBackend } from './backend.ts';
import { IndexFile } from './index-file.ts';
import { scratch } from './testing/storage.ts';

it.each([{ errcode: 778 }, {}])('spends the reserve on a removal that an exceeded quota turned into a failed write (%j)', async (told) => {
  const { path, remove } = await scratch();
  const file = await IndexFile.open(join(path, 'index.db'));
  await file.freed();
  const removed = await file.remove(() => {
    if (!existsSync(join(path, 'index.db-reserve'))) return 'removed';
    throw Object.assign(new Error('disk I/O error'), { code: 'ERR_SQLITE_ERROR', ...told });
  });
  expect(removed).toBe('removed');
  await file.close();
  await remove();
});

it('lists again as soon as the index can be read again', async () => {
  const { path, remove } = await scratch();
  const put = (backend: LocalBackend, key: string): Promise<unknown> =>
    backend.put({ bucket: 'bucket', key }, { kind: 'buffer', data: Buffer.from(key) }, { contentType: 'a/b' }, noContext);
  const first = localBackend({ root: path });
  await first.buckets!.create('bucket', {}, noContext);
  await put(first, 'a');
  await first.close();
  const db = new DatabaseSync(join(path, 'index.db'));
  const { page } = db.prepare("SELECT rootpage AS page FROM sqlite_schema WHERE name = 'objects'").get() as { readonly page: number };
  db.close();

  const index = await open(join(path, 'index.db'), 'r+');
  const whole = Buffer.alloc(4096);
  await index.read(whole, 0, whole.length, (page - 1) * whole.length);
  await index.write(Buffer.alloc(whole.length, 0xff), 0, whole.length, (page - 1) * whole.length);
  const lister = localBackend({ root: path });
  await expect(lister.list('bucket', {}, noContext)).rejects.toMatchObject({
    code: 'internal_error',
    message: 'The index is damaged, or the disk cannot read it.',
  });
  await index.write(whole, 0, whole.length, (page - 1) * whole.length);
  const writer = localBackend({ root: path });
  await put(writer, 'b'); // makes the other connection forget what it read
  expect((await lister.list('bucket', {}, noContext)).objects.map(({ key }) => key)).toEqual(['a', 'b']);
  for (const backend of [writer, lister]) await backend.close();
  await index.close();
  await remove();
});
