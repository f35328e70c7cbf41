import { randomBytes } from 'node:crypto';
import { access, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { LocalError } from '../problem.ts';
import type { Folders } from './folders.ts';

/** A difference between names that means nothing to some file systems. */
interface Likeness {
  /** Another name for the same file, where it means nothing. */
  readonly other: (name: string) => string;
  readonly fold: (name: string) => string;
}

const likenesses: readonly Likeness[] = [
  { other: (name) => name.normalize('NFD'), fold: (name) => name.normalize('NFC') },
  // By way of both, since either keeps some letters apart that the other does not: σ and ς, k and the sign of kelvin.
  { other: (name) => name.replace('coffer', 'COFFER'), fold: (name) => name.toLowerCase().replaceAll(/./gsu, upper) },
  { other: (name) => name.replace('ß', 'ss'), fold: (name) => name.replaceAll(/[^ı]+/gu, (letters) => letters.toUpperCase()) },
  // FAT and exFAT, as Linux has them, leave dots at the end away.
  { other: (name) => `${name}.`, fold: (name) => name.replaceAll(/\.+(?=\/|$)/g, '') },
];

/** `ß` and its like stay: few file systems know that they are written with two letters. So does `ı`, which none takes for an i. */
function upper(letter: string): string {
  if (letter === 'ı') return letter;
  const large = letter.toUpperCase();
  return large.length === letter.length ? large : letter;
}

/**
 * On file systems that take names for the same which differ by case, by the form of their accents or by dots at the end, two keys can
 * meet in one file. The second one fails. Only there are names remembered, in some 100 bytes each.
 */
export class Folding {
  readonly #folders: Folders;
  #found: Promise<readonly Likeness[]> | undefined;
  /** By the folded name. */
  readonly #taken = new Map<string, string>();

  constructor(folders: Folders) {
    this.#folders = folders;
  }

  /** @throws LocalError `path_conflict` */
  async take(name: string): Promise<void> {
    const found = await (this.#found ??= this.#probe());
    if (found.length === 0) return;
    const folded = found.reduce((folding, { fold }) => fold(folding), name);
    const other = this.#taken.get(folded);
    if (other !== undefined && other !== name) {
      throw new LocalError('path_conflict', `This file system treats it as the same name as ${other}.`);
    }
    this.#taken.set(folded, name);
  }

  async #probe(): Promise<readonly Likeness[]> {
    const { root } = this.#folders;
    const name = `.coffer-éß-${randomBytes(6).toString('hex')}.part`;
    await this.#folders.prepare(root);
    const path = join(root, name);
    try {
      await writeFile(path, '', { flag: 'wx' });
      const found = await Promise.all(likenesses.map(({ other }) => exists(join(root, other(name)))));
      return likenesses.filter((_, index) => found[index]);
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
