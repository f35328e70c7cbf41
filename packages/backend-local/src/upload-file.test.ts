import type { FileHandle } from 'node:fs/promises';

import { expect, it } from 'vitest';

import { blockSize, BlockPool } from './block-pool.ts';
import { HashThread } from './hash-thread.ts';
import { TempFiles } from './temp-files.ts';
import type { TempFile } from './temp-files.ts';
import { scratch } from './testing/storage.ts';
import { UploadFile } from './upload-file.ts';

/** Temporary files whose first sync fails, and later ones do not: the system reports a failed write to the disk only once. */
class OnceUnsyncedFiles extends TempFiles {
  override async create(): Promise<TempFile> {
    const { path, handle } = await super.create();
    let syncs = 0;
    const failing = {
      get fd(): number {
        return syncs++ === 0 ? 2 ** 31 - 1 : handle.fd;
      },
      write: handle.write.bind(handle),
      close: () => handle.close(),
    };
    return { path, handle: failing as unknown as FileHandle };
  }
}

/** Temporary files that take no byte until `disk` settles. */
class StuckFiles extends TempFiles {
  readonly disk: PromiseWithResolvers<never> = Promise.withResolvers();
  writes = 0;

  override async create(): Promise<TempFile> {
    const { path, handle } = await super.create();
    const write = (): Promise<never> => {
      this.writes++;
      return this.disk.promise;
    };
    return { path, handle: { write, close: () => handle.close() } as unknown as FileHandle };
  }
}

it('fails when a sync on its way fails, though the last one does not', async () => {
  const { path, remove } = await scratch();
  const hashes = new HashThread();
  const failures: Error[] = [];
  const tools = { temp: new OnceUnsyncedFiles(path), pool: new BlockPool(), hashes };
  const file = new UploadFile(tools, undefined, (error) => failures.push(error));
  for (let mebibyte = 0; mebibyte < 34; mebibyte++) await file.write(Buffer.alloc(1_048_576));
  const error = await file.finish().catch((cause: unknown) => cause);
  expect(error).toMatchObject({ code: 'internal_error' });
  expect(failures).toEqual([error]);
  await file.abandon();
  await hashes.close();
  await remove();
});

it('tells at once that a block could not be written, and takes no more than a few that are not yet', async () => {
  const { path, remove } = await scratch();
  const hashes = new HashThread();
  const temp = new StuckFiles(path);
  const failed = Promise.withResolvers<Error>();
  const file = new UploadFile({ temp, pool: new BlockPool(), hashes }, undefined, failed.resolve);
  let taken = 0;
  const writing = (async () => {
    for (; taken < 50; taken++) await file.write(Buffer.alloc(blockSize));
  })().catch((error: unknown) => error);
  await expect.poll(() => taken).toBeGreaterThan(4);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(taken).toBeLessThan(10);
  temp.disk.reject(new Error('broken'));
  expect(await failed.promise).toMatchObject({ code: 'internal_error' });
  await writing;
  await file.abandon();
  await hashes.close();
  await remove();
});

it('takes fewer blocks for each of many uploads that wait for the disk', async () => {
  const { path, remove } = await scratch();
  const hashes = new HashThread();
  const temp = new StuckFiles(path);
  let inUse = 0;
  class CountedPool extends BlockPool {
    override take(): Uint8Array<SharedArrayBuffer> {
      inUse++;
      return super.take();
    }
  }
  const pool = new CountedPool();
  const files = Array.from({ length: 100 }, () => new UploadFile({ temp, pool, hashes }, undefined, () => {}));
  const writing = files.map(async (file) => {
    for (let block = 0; block < 12; block++) await file.write(Buffer.alloc(blockSize));
  });
  await expect.poll(() => temp.writes, { timeout: 10_000 }).toBe(100);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(inUse).toBeLessThan(200); // six each would be 600
  expect(pool.isShort).toBe(true);
  temp.disk.reject(new Error('broken'));
  await Promise.allSettled(writing);
  await Promise.all(files.map((file) => file.abandon()));
  expect(pool.isShort).toBe(false);
  await hashes.close();
  await remove();
});
