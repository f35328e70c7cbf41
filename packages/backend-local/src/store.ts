import { lstatSync } from 'node:fs';
import { access, constants, realpath } from 'node:fs/promises';
import { join } from 'node:path';

import { makeDirectories, storageError, syncDirectory } from '@coffer/storage-core';

import { BlobStore } from './blob-store.ts';
import { BlockPool } from './block-pool.ts';
import { BucketIndex } from './bucket-index.ts';
import { assertDirectory } from './disk.ts';
import { toStorageError } from './errors.ts';
import { HashThread } from './hash-thread.ts';
import { IndexFile } from './index-file.ts';
import { ObjectIndex } from './object-index.ts';
import { TempFiles } from './temp-files.ts';

/** An open storage directory. */
export interface Store {
  /** The file behind `objects` and `buckets`: makes their changes durable, keeps room for removals, and knows when it was taken away. */
  readonly index: Pick<IndexFile, 'durable' | 'freed' | 'assertInPlace'>;
  readonly objects: ObjectIndex;
  readonly buckets: BucketIndex;
  readonly blobs: BlobStore;
  readonly temp: TempFiles;
  readonly pool: BlockPool;
  readonly hashes: HashThread;
  /** Rejects unless the index answers and the directory is writable. */
  check(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens or creates a storage directory and removes what killed processes left in it.
 * @throws storage_unavailable, access_denied, internal_error
 */
export async function openStore(path: string): Promise<Store> {
  try {
    await makeDirectories(path, 0o700);
    const root = await realpath(path); // the root itself may be a link, but nothing below it
    assertDirectory(join(root, '.tmp'));
    const indexPath = join(root, 'index.db');
    if (lstatSync(indexPath, { throwIfNoEntry: false })?.isFile() === false) {
      throw storageError('access_denied', 'The index of the storage directory is a link or a directory.');
    }
    const file = await IndexFile.open(indexPath);
    try {
      await syncDirectory(root);
      return await assemble(root, file);
    } catch (error) {
      await file.close();
      throw error;
    }
  } catch (error) {
    throw toStorageError(error);
  }
}

async function assemble(root: string, file: IndexFile): Promise<Store> {
  const temp = new TempFiles(root);
  await temp.removeAbandoned();
  const buckets = new BucketIndex(file);
  const objects = new ObjectIndex(file, buckets);
  const blobs = new BlobStore(root, temp);
  const hashes = new HashThread();
  return {
    index: file,
    objects,
    buckets,
    blobs,
    temp,
    hashes,
    pool: new BlockPool(),
    async check() {
      await file.read(() => {
        file.assertInPlace();
        file.db.prepare('SELECT 1 FROM buckets').get();
      });
      await access(root, constants.R_OK | constants.W_OK | constants.X_OK).catch((error: unknown) => {
        throw toStorageError(error);
      });
    },
    async close() {
      await blobs.close();
      await hashes.close();
      await temp.close();
      await file.close();
    },
  };
}
