import { randomBytes } from 'node:crypto';
import { access, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { LocalError } from '../problem.ts';
import type { Folders } from './folders.ts';

/**
 * On file systems that take names for the same which differ by case or by the form of their accents, two keys can meet in
 * one file. The second one fails. Only there are names remembered, in some 100 bytes each.
 */
export class Folding {
  readonly #folders: Folders;
  #folds: Promise<boolean> | undefined;
  /** By the folded name. */
  readonly #taken = new Map<string, string>();

  constructor(folders: Folders) {
    this.#folders = folders;
  }

  /** @throws LocalError `path_conflict` */
  async take(name: string): Promise<void> {
    if (!(await (this.#folds ??= this.#probe()))) return;
    const folded = name.normalize('NFC').toLowerCase();
    const other = this.#taken.get(folded);
    if (other !== undefined && other !== name) {
      throw new LocalError('path_conflict', `This file system takes it for the same name as ${other}.`);
    }
    this.#taken.set(folded, name);
  }

  async #probe(): Promise<boolean> {
    const { root } = this.#folders;
    const name = `.coffer-é-${randomBytes(6).toString('hex')}.part`;
    await this.#folders.prepare(root);
    const path = join(root, name);
    try {
      await writeFile(path, '', { flag: 'wx' });
      const others = [name.replace('coffer', 'COFFER'), name.normalize('NFD')];
      const found = await Promise.all(others.map((other) => exists(join(root, other))));
      return found.includes(true);
    } finally {
      await rm(path, { force: true });
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
