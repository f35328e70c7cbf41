import { randomBytes } from 'node:crypto';
import { constants, readFileSync } from 'node:fs';
import { lstat, open, readdir, rm, rmdir, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

import type { SweepReport } from '@coffer/storage-core';

import { makeDirectory } from './disk.ts';
import { codeOf, translated } from './errors.ts';

export interface TempFile {
  readonly path: string;
  readonly handle: FileHandle;
}

/** The process that owns a directory of temporary files, as encoded in the directory's name. */
interface Owner {
  readonly host: string;
  readonly pid: number;
  /** Milliseconds on the machine's monotonic clock. */
  readonly started: number;
}

const foreignAgeMs = 24 * 3600 * 1000;
const directoryPattern = /^(.+)-(\d+)-(\d+)-[0-9a-f]{12}$/;

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
    const { host, pid, started } = self();
    this.#parent = join(root, '.tmp');
    this.#name = `${host}-${pid}-${started}-${randomBytes(6).toString('hex')}`;
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
      const owner = ownerOf(name);
      const age = Date.now() - content.lastWrite;
      const dead = age > foreignAgeMs || (owner?.host === self().host && !isAlive(owner));
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

function self(): Owner {
  return {
    host: hostname().replaceAll(/[^A-Za-z0-9.-]/g, '_') || 'localhost',
    pid: process.pid,
    started: startedAt(),
  };
}

function startedAt(): number {
  const started = Math.round(Number(process.hrtime.bigint()) / 1e6 - process.uptime() * 1000);
  return started < 1000 ? startedAtFromProc(started) : started;
}

/** In Bun and Deno the clock starts with the process, which cannot tell equal pids in containers apart. Linux knows the start time. */
function startedAtFromProc(fallback: number): number {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // the second field, in parentheses, may hold anything
    return Number(fields[19]) * 10 || fallback;
  } catch {
    return fallback;
  }
}

function ownerOf(name: string): Owner | undefined {
  const [, host, pid, started] = directoryPattern.exec(name) ?? [];
  return host === undefined ? undefined : { host, pid: Number(pid), started: Number(started) };
}

function isAlive({ pid, started }: Owner): boolean {
  // Our pid with another start time was an earlier process: in a container every process may get the same pid.
  if (pid === process.pid) return Math.abs(started - self().started) < 1000;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
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
