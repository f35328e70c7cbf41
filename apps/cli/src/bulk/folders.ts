import { mkdir, realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';

import { isDirectory, makeDirectories } from '@coffer/storage-core';

import { LocalError } from '../problem.ts';

const maxRemembered = 10_000;

/** The folders below the download root. Each is created when a file first needs it. */
export class Folders {
  readonly root: string;
  #realRoot: Promise<string> | undefined;
  readonly #prepared = new Map<string, Promise<void>>();

  constructor(root: string) {
    this.root = dirname(join(root, 'x')); // normalized as `join` normalizes the paths below it
  }

  /** The path of a `/`-separated name. */
  pathOf(name: string): string {
    return join(this.root, ...name.split('/'));
  }

  /** As `pathOf`, and creates the folder of the path. @throws LocalError `unsafe_path` where a link leads out */
  async pathFor(name: string): Promise<string> {
    const path = this.pathOf(name);
    await this.prepare(dirname(path));
    return path;
  }

  async prepare(folder: string): Promise<void> {
    let pending = this.#prepared.get(folder);
    if (pending === undefined) {
      pending = this.#make(folder);
      pending.catch(() => this.#prepared.delete(folder));
      if (this.#prepared.size >= maxRemembered) this.#prepared.clear();
      this.#prepared.set(folder, pending);
    }
    return pending;
  }

  /** Level by level: a folder is created only in one that is known to lie inside the root. */
  async #make(folder: string): Promise<void> {
    this.#realRoot ??= this.#makeRoot();
    const root = await this.#realRoot.catch((error: unknown) => {
      this.#realRoot = undefined; // the next folder tries again
      throw error;
    });
    if (folder === this.root) return;
    await this.prepare(dirname(folder));
    try {
      await mkdir(folder);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    if (!(await isDirectory(folder))) throw fileInTheWayError(folder);
    const relativePath = relative(root, await realpath(folder));
    if (relativePath === '..' || relativePath.startsWith(`..${sep}`) || isAbsolute(relativePath)) {
      throw new LocalError('unsafe_path', 'A symbolic link leads out of the --output folder.');
    }
  }

  async #makeRoot(): Promise<string> {
    await makeDirectories(this.root, 0o777).catch((error: NodeJS.ErrnoException) => {
      throw error.code === 'EEXIST' || error.code === 'ENOTDIR' ? fileInTheWayError(this.root, error) : error;
    });
    return realpath(this.root);
  }
}

function fileInTheWayError(path: string, cause?: unknown): LocalError {
  return new LocalError('path_conflict', `${path} is a file, but a folder is needed there.`, { cause });
}
