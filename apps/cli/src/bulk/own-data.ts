import { realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

import { LocalError } from '../problem.ts';

/** The folders in which Coffer keeps its own data on this machine. Files in them are not the user's. */
export class OwnData {
  readonly #ids: ReadonlySet<string>;
  /** Reports a path that is left out. */
  readonly onSkipped: (path: string) => void;
  #last: { readonly folder: string; readonly isOwn: Promise<boolean> } | undefined;

  private constructor(ids: ReadonlySet<string>, onSkipped: (path: string) => void) {
    this.#ids = ids;
    this.onSkipped = onSkipped;
  }

  /** @param onSkipped called with each path that is left out */
  static async at(folders: readonly string[], onSkipped: (path: string) => void): Promise<OwnData> {
    const ids = await Promise.all(folders.map((folder) => folderId(folder).catch(() => undefined))); // they may not exist yet
    return new OwnData(new Set(ids.filter((id) => id !== undefined)), onSkipped);
  }

  /** Whether a folder is one of them, by its id, which does not depend on the path. */
  hasId(id: string): boolean {
    return this.#ids.has(id);
  }

  /** Whether a file or folder is in one of them, or is one, after following links. */
  async contains(path: string): Promise<boolean> {
    if (this.#ids.size === 0) return false;
    const real = await realpath(path);
    return this.hasId(await folderId(real)) || this.#isBelow(dirname(real));
  }

  /** Remembers the last answer: files named in a row are often in one folder. */
  #isBelow(folder: string): Promise<boolean> {
    if (this.#last?.folder !== folder) this.#last = { folder, isOwn: this.#isOwn(folder) };
    return this.#last.isOwn;
  }

  async #isOwn(folder: string): Promise<boolean> {
    if (this.hasId(await folderId(folder))) return true;
    const parent = dirname(folder);
    return parent !== folder && this.#isOwn(parent);
  }
}

/** The same for every path to the folder. */
export async function folderId(path: string): Promise<string> {
  const { dev, ino } = await stat(path, { bigint: true });
  return `${dev}:${ino}`;
}

export function ownDataError(): LocalError {
  return new LocalError('own_data', 'Coffer keeps this file for itself; it cannot be uploaded.');
}
