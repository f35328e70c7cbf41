import { constants, existsSync, lstatSync, open, renameSync } from 'node:fs';
import { copyFile, link, readdir, rename, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { bucketNameProblem, discard, InFlight, isStorageError, storageError, syncDirectory } from '@coffer/storage-core';

import { blobIds, isBlobId, shardOf } from './blob-id.ts';
import type { BlobId } from './blob-id.ts';
import { BlobReader } from './blob-reader.ts';
import type { BlobPart } from './blob-reader.ts';
import { CoalescedSync } from './coalesced-sync.ts';
import { assertDirectory, makeDirectory, syncFile } from './disk.ts';
import { codeOf, isFull, toStorageError, translated } from './errors.ts';
import type { TempFiles } from './temp-files.ts';

const openFile = promisify(open);

const maxKnownShards = 4096;
// A writer that finds its bucket gone removes the bucket's directories, and so may every concurrent writer: hence many attempts.
const maxPlaceAttempts = 100;

export interface BlobAddress {
  readonly bucket: string;
  readonly blob: BlobId;
}

/**
 * The bytes of objects, one immutable file per upload: `<root>/<bucket>/<2 digits>/<id>`. No part of the path comes from a key, so
 * the file system's rules for names do not matter.
 */
export class BlobStore {
  readonly newId: () => BlobId = blobIds();
  readonly #root: string;
  readonly #temp: TempFiles;
  readonly #syncs = new Map<string, CoalescedSync>();
  readonly #shards = new Map<string, Promise<void>>();
  readonly #readers = new InFlight<BlobReader>();

  constructor(root: string, temp: TempFiles) {
    this.#root = root;
    this.#temp = temp;
  }

  /** Moves a synced file to its final place, durably. */
  async place(file: string, at: BlobAddress): Promise<void> {
    await translated(this.#inShard(file, at, rename));
  }

  /** Durably creates a hard link to the bytes, or a copy of them. @returns false when the source is gone */
  async duplicate(source: BlobAddress, at: BlobAddress): Promise<boolean> {
    return translated(this.#duplicate(source, at));
  }

  /** Opens a part of the bytes for reading. @returns undefined when they are gone */
  async open(at: BlobAddress, part: BlobPart): Promise<BlobReader | undefined> {
    const file = await translated(this.#open(at));
    if (file === undefined) return undefined;
    const reader = new BlobReader(file, part);
    reader.once('close', this.#readers.add(reader));
    return reader;
  }

  /** Closes the files that are still open for reading. */
  async close(): Promise<void> {
    const error = storageError('storage_unavailable', 'The storage was closed while the object was read.', { retryable: false });
    const closing = this.#readers.values().map((stream) => {
      discard({ kind: 'stream', stream }, error);
      return new Promise((resolve) => stream.once('close', resolve));
    });
    await Promise.all(closing);
  }

  /** Whether the bytes exist. Synchronous, because it is called inside a transaction. */
  has(at: BlobAddress): boolean {
    return lstatSync(this.#path(at), { throwIfNoEntry: false })?.isFile() === true;
  }

  /** Removes bytes that nothing refers to. Bytes that cannot be removed now are left to a sweep. */
  async remove(at: BlobAddress): Promise<void> {
    try {
      await unlink(this.#path(at));
    } catch {
      // Already gone, or not ours to remove; either way no object refers to them.
    }
  }

  /** Moves a blob to a temporary file, at once. @returns its path, or undefined when the blob is gone */
  moveToTemp(at: BlobAddress): string | undefined {
    const path = this.#temp.reserve();
    try {
      renameSync(this.#path(at), path);
      return path;
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw toStorageError(error);
    }
  }

  async createBucket(bucket: string): Promise<void> {
    await translated(this.#makeDirectory(join(this.#root, bucket), this.#root));
  }

  /**
   * Removes the empty directories of a bucket. One that is not empty holds the bytes of a newer bucket of that name. Directories that
   * cannot be removed now are left to a sweep.
   * @throws access_denied when there is a link in its place
   */
  async removeBucket(bucket: string): Promise<void> {
    const directory = join(this.#root, bucket);
    try {
      if (!assertDirectory(directory)) return;
    } catch (error) {
      if (isStorageError(error)) throw error;
      return;
    }
    for (const shard of await this.shards(bucket)) {
      this.#shards.delete(join(directory, shard));
      await rmdir(join(directory, shard)).catch(() => {});
    }
    await rmdir(directory).catch(() => {});
  }

  /** Names of the directories that can hold the bytes of buckets, whether or not those buckets exist. */
  async buckets(): Promise<readonly string[]> {
    const entries = await translated(readdir(this.#root, { withFileTypes: true }));
    return entries.filter((entry) => entry.isDirectory() && bucketNameProblem(entry.name) === undefined).map((entry) => entry.name);
  }

  async shards(bucket: string): Promise<readonly string[]> {
    const entries = await readdir(join(this.#root, bucket), { withFileTypes: true }).catch(() => []);
    return entries.filter((entry) => entry.isDirectory() && /^[0-9a-f]{2}$/.test(entry.name)).map((entry) => entry.name);
  }

  async blobs(bucket: string, shard: string): Promise<readonly BlobId[]> {
    const names = await readdir(join(this.#root, bucket, shard)).catch(() => []);
    return names.filter((name) => isBlobId(name));
  }

  /** Size in bytes, and when the file got this name, in milliseconds since 1970. */
  statOf(at: BlobAddress): { readonly size: number; readonly placed: number } | undefined {
    try {
      const stats = lstatSync(this.#path(at), { throwIfNoEntry: false });
      // A link keeps the mtime of the bytes; the ctime of the inode is that of the latest link or rename.
      return stats === undefined ? undefined : { size: stats.size, placed: Math.max(stats.mtimeMs, stats.ctimeMs) };
    } catch (error) {
      throw toStorageError(error);
    }
  }

  async #duplicate(source: BlobAddress, at: BlobAddress): Promise<boolean> {
    const from = this.#path(source);
    try {
      await this.#inShard(from, at, link);
      return true;
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return false;
      if (isStorageError(error) || isFull(error)) throw error;
      // Links are not supported, used up, or impossible across file systems. The errno varies by file system, so any of them means: copy.
    }
    const copy = this.#temp.reserve();
    try {
      await this.#temp.prepare();
      await copyFile(from, copy, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      await syncFile(copy);
      await this.#inShard(copy, at, rename);
      return true;
    } catch (error) {
      await this.#temp.discard(copy);
      if (codeOf(error) === 'ENOENT') return false;
      throw error;
    }
  }

  async #open(at: BlobAddress): Promise<number | undefined> {
    try {
      return await openFile(this.#path(at), constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Runs `fill`, which puts the file `from` at the path of the blob, and makes the new name durable. */
  async #inShard(from: string, at: BlobAddress, fill: (from: string, path: string) => Promise<void>): Promise<void> {
    const shard = join(this.#root, at.bucket, shardOf(at.blob));
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#ensureShard(at.bucket, shard);
        await fill(from, this.#path(at));
        break;
      } catch (error) {
        if (codeOf(error) !== 'ENOENT' || attempt === maxPlaceAttempts || !existsSync(from)) throw error;
        this.#shards.delete(shard); // removed together with a bucket of this name
      }
    }
    await this.#sync(shard).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error; // a sweep has removed the file and the directory: the commit notices
    });
  }

  /** Creates the directories of a shard, once per process: a file counts as stored only when the name of its directory is durable. */
  #ensureShard(bucket: string, shard: string): Promise<void> {
    let known = this.#shards.get(shard);
    if (known === undefined) {
      if (this.#shards.size >= maxKnownShards) this.#shards.clear();
      const directory = join(this.#root, bucket);
      known = this.#makeDirectory(directory, this.#root).then(() => this.#makeDirectory(shard, directory));
      this.#shards.set(shard, known);
      known.catch(() => this.#shards.delete(shard));
    }
    return known;
  }

  async #makeDirectory(path: string, parent: string): Promise<void> {
    if (!assertDirectory(path)) await makeDirectory(path);
    await this.#sync(parent);
  }

  async #sync(directory: string): Promise<void> {
    let sync = this.#syncs.get(directory);
    if (sync === undefined) {
      if (this.#syncs.size >= maxKnownShards) this.#syncs.clear();
      sync = new CoalescedSync(() => syncDirectory(directory));
      this.#syncs.set(directory, sync);
    }
    await sync.sync();
  }

  /** @throws access_denied when a directory on the way is a link */
  #path(at: BlobAddress): string {
    const bucket = join(this.#root, at.bucket);
    const shard = join(bucket, shardOf(at.blob));
    if (assertDirectory(bucket)) assertDirectory(shard);
    return join(shard, at.blob);
  }
}
