import { realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

import { LocalError } from '../problem.ts';

/** The folders in which Coffer keeps its own data on this machine. Files in them are not the user's. */
export class OwnData {
  readonly #ids: ReadonlySet<string>;
  /** Reports a path that is left out. */
  readonly leaveOut: (path: string) => void;
  #last: { readonly folder: string; readonly isOwn: Promise<boolean> } | undefined;

  private constructor(ids: ReadonlySet<string>, leaveOut: (path: string) => void) {
    this.#ids = ids;
    this.leaveOut = leaveOut;
  }

  /** @param leaveOut called with each path that is left out */
  static async in(folders: readonly string[], leaveOut: (path: string) => void): Promise<OwnData> {
    const ids = await Promise.all(folders.map((folder) => folderId(folder).catch(() => undefined))); // they may not exist yet
    return new OwnData(new Set(ids.filter((id) => id !== undefined)), leaveOut);
  }

  /** Whether a folder is one of them, by its id, which does not depend on the path. */
  is(id: string): boolean {
    return this.#ids.has(id);
  }

  /** Whether a file or folder is in one of them, or is one, after following links. */
  async holds(path: string): Promise<boolean> {
    if (this.#ids.size === 0) return false;
    const real = await realpath(path);
    return this.is(await folderId(real)) || this.#isBelow(dirname(real));
  }

  /** Remembers the last answer: files named in a row are often in one folder. */
  #isBelow(folder: string): Promise<boolean> {
    if (this.#last?.folder !== folder) this.#last = { folder, isOwn: this.#isOwn(folder) };
    return this.#last.isOwn;
  }

  async #isOwn(folder: string): Promise<boolean> {
    if (this.is(await folderId(folder))) return true;
    const above = dirname(folder);
    return above !== folder && this.#isOwn(above);
  }
}

/** The same for every path to the folder. */
export async function folderId(path: string): Promise<string> {
  const { dev, ino } = await stat(path, { bigint: true });
  return `${dev}:${ino}`;
}

export function isOwnData(): LocalError {
  return new LocalError('own_data', 'Coffer keeps this file for itself; it cannot be uploaded.');
}
