import { randomBytes } from 'node:crypto';
import { access, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { LocalError } from '../problem.ts';
import type { Folders } from './folders.ts';

/** A difference between names that some file systems ignore. */
interface Equivalence {
  /** Another name for the same file on such a file system. */
  readonly variant: (name: string) => string;
  readonly fold: (name: string) => string;
}

const equivalences: readonly Equivalence[] = [
  { variant: (name) => name.normalize('NFD'), fold: (name) => name.normalize('NFC') },
  // Both conversions, since each keeps some letters apart that the other joins: σ and ς, k and the Kelvin sign.
  { variant: (name) => name.replace('coffer', 'COFFER'), fold: (name) => name.toLowerCase().replaceAll(/./gsu, upper) },
  { variant: (name) => name.replace('ß', 'ss'), fold: (name) => name.replaceAll(/[^ı]+/gu, (letters) => letters.toUpperCase()) },
  // FAT and exFAT on Linux drop trailing dots.
  { variant: (name) => `${name}.`, fold: (name) => name.replaceAll(/\.+(?=\/|$)/g, '') },
];

/** `ß` and letters like it stay: few file systems treat them as equal to two letters. `ı` stays too: none treats it as an i. */
function upper(letter: string): string {
  if (letter === 'ı') return letter;
  const upperCased = letter.toUpperCase();
  return upperCased.length === letter.length ? upperCased : letter;
}

/**
 * Some file systems ignore differences in case, in the Unicode form of accents or in trailing dots, so that two keys can map to one
 * file. There, the second key fails. Names are remembered only on such file systems, at about 100 bytes each.
 */
export class NameClaims {
  readonly #folders: Folders;
  #ignored: Promise<readonly Equivalence[]> | undefined;
  /** Names by their folded form. */
  readonly #claimed = new Map<string, string>();

  constructor(folders: Folders) {
    this.#folders = folders;
  }

  /** Claims a name. @throws LocalError `path_conflict` when another name for the same file was claimed before */
  async claim(name: string): Promise<void> {
    this.#ignored ??= this.#probe();
    const found = await this.#ignored.catch((error: unknown) => {
      this.#ignored = undefined; // the next name tries again
      throw error;
    });
    if (found.length === 0) return;
    const folded = found.reduce((current, { fold }) => fold(current), name);
    const other = this.#claimed.get(folded);
    if (other !== undefined && other !== name) {
      throw new LocalError('path_conflict', `This file system treats it as the same name as ${other}.`);
    }
    this.#claimed.set(folded, name);
  }

  async #probe(): Promise<readonly Equivalence[]> {
    const { root } = this.#folders;
    const name = `.coffer-éß-${randomBytes(6).toString('hex')}.part`;
    await this.#folders.prepare(root);
    const path = join(root, name);
    try {
      await writeFile(path, '', { flag: 'wx' });
      const found = await Promise.all(equivalences.map(({ variant }) => exists(join(root, variant(name)))));
      return equivalences.filter((_, index) => found[index]);
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
