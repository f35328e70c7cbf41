import { constants } from 'node:fs';
import { lstat, open, readdir, rm, rmdir, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

import type { SweepReport } from '@coffer/storage-core';

import { makeDirectory } from './disk.ts';
import { codeOf, translated } from './errors.ts';
import { isOwnerDead, nameOfOwner } from './temp-owner.ts';

export interface TempFile {
  readonly path: string;
  readonly handle: FileHandle;
}

const foreignAgeMs = 24 * 3600 * 1000;

/**
 * Unfinished uploads, in a directory of this process below `.tmp`, a name that no bucket can have. The directory's name identifies its
 * owner, so that the next process to open the storage can tell what a killed one left.
 */
export class TempFiles {
  readonly #parent: string;
  readonly #name: string;
  readonly #directory: string;
  #next = 0;

  constructor(root: string) {
    this.#parent = join(root, '.tmp');
    this.#name = nameOfOwner();
    this.#directory = join(this.#parent, this.#name);
  }

  async create(): Promise<TempFile> {
    const path = this.reserve();
    return { path, handle: await translated(this.#open(path)) };
  }

  async #open(path: string): Promise<FileHandle> {
    // Never follows a link or overwrites a file: the name is new and the directory is ours.
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0);
    try {
      return await open(path, flags, 0o600);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      await this.#makeDirectory();
      return open(path, flags, 0o600);
    }
  }

  /** A path for a file that something else creates. */
  reserve(): string {
    return join(this.#directory, (this.#next++).toString(36));
  }

  /** Makes sure that a reserved path can be used. */
  async prepare(): Promise<void> {
    await translated(this.#makeDirectory());
  }

  /** Removes the file if it is still here. */
  async discard(path: string): Promise<void> {
    await unlink(path).catch(() => {}); // otherwise the next process to open the storage removes it
  }

  /**
   * Removes what dead processes left. Files of this machine go at once. Files of other machines, whose processes cannot be checked, and
   * files of processes whose pid is in use again go a day after the last write. Files younger than `olderThan` (seconds) stay.
   */
  async removeAbandoned({
    olderThan = 0,
    dryRun = false,
  }: { readonly olderThan?: number; readonly dryRun?: boolean } = {}): Promise<SweepReport> {
    let removed = 0;
    let bytes = 0;
    for (const name of await readdir(this.#parent).catch(() => [])) {
      if (name === this.#name) continue;
      const path = join(this.#parent, name);
      const content = await contentOf(path);
      if (content === undefined) continue;
      const age = Date.now() - content.lastWrite;
      const dead = age > foreignAgeMs || isOwnerDead(name);
      if (!dead || age < olderThan * 1000) continue;
      removed += content.files;
      bytes += content.bytes;
      if (!dryRun) await rm(path, { recursive: true, force: true }).catch(() => {});
    }
    return { removed, bytes };
  }

  async close(): Promise<void> {
    await rmdir(this.#directory).catch(() => {}); // never created, or holds files that the next process removes
  }

  async #makeDirectory(): Promise<void> {
    await makeDirectory(this.#parent);
    await makeDirectory(this.#directory);
  }
}

async function contentOf(
  path: string,
): Promise<{ readonly files: number; readonly bytes: number; readonly lastWrite: number } | undefined> {
  try {
    const directory = await lstat(path);
    let [files, bytes, lastWrite] = [0, 0, directory.mtimeMs];
    if (!directory.isDirectory()) return { files: 1, bytes: directory.size, lastWrite };
    for (const name of await readdir(path)) {
      const file = await lstat(join(path, name)).catch(() => undefined);
      if (file === undefined) continue;
      files++;
      bytes += file.size;
      lastWrite = Math.max(lastWrite, file.mtimeMs);
    }
    return { files, bytes, lastWrite };
  } catch {
    return undefined; // gone meanwhile
  }
}
