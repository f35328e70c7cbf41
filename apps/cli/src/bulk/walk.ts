import type { Dir, Dirent } from 'node:fs';
import { lstat, opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { LocalError, problemOf } from '../problem.ts';
import type { Failure } from './task.ts';

export interface FoundFile {
  readonly path: string;
  /** Relative to the root, with `/` whatever the system. */
  readonly name: string;
}

/** An entry that is no file to be read, nor a folder to be looked into. */
export interface BadEntry extends Failure {
  readonly name: string;
  /** Whether files may lie below it, which nobody gets to see. */
  readonly mayHoldFiles: boolean;
}

/** Folders that are passed by wherever they turn up: those of the storage itself. */
export interface PassedBy {
  /** As `folderId` gives it. */
  has(id: string): boolean;
  tell(path: string): void;
}

interface Level {
  readonly dir: Dir;
  readonly path: string;
  readonly name: string;
  /** Of this directory, to know it again at the end of a symbolic link. */
  readonly id: string;
}

/** Entries that are read from a directory at once. */
const bufferSize = 256;

/**
 * The files below a directory, read as they are asked for. Symbolic links are followed, but not in circles; what is neither
 * a file nor a directory, or cannot be read, is a failure of its own.
 */
export async function* walk(root: string, passedBy?: PassedBy): AsyncGenerator<FoundFile | BadEntry, void, undefined> {
  const levels: Level[] = [];
  const enter = async (path: string, name: string): Promise<BadEntry | undefined> => {
    try {
      const id = await folderId(path);
      if (passedBy?.has(id) === true) {
        passedBy.tell(path);
        return undefined;
      }
      if (levels.some((level) => level.id === id)) return bad(path, name, symlinkLoop(), false);
      levels.push({ dir: await opendir(path, { bufferSize }), path, name, id });
      return undefined;
    } catch (error) {
      return bad(path, name, error, true);
    }
  };

  try {
    const failure = await enter(root, '');
    if (failure !== undefined) yield failure;
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const entry = await nextEntry(level);
      if (entry === undefined) {
        levels.pop();
        await level.dir.close();
        continue;
      }
      if ('problem' in entry) {
        levels.pop();
        await level.dir.close().catch(() => {});
        yield entry;
        continue;
      }
      const path = join(level.path, entry.name);
      const name = level.name === '' ? entry.name : `${level.name}/${entry.name}`;
      const kind = await kindOf(entry, path);
      if (await isMisread(entry, path)) yield bad(path, name, notUtf8(), kind !== 'file');
      else if (kind === 'file') yield { path, name };
      else if (kind !== 'directory') yield bad(path, name, kind, false);
      else {
        const refused = await enter(path, name);
        if (refused !== undefined) yield refused;
      }
    }
  } finally {
    for (const { dir } of levels) await dir.close().catch(() => {});
  }
}

/** The same by whatever path. */
export async function folderId(path: string): Promise<string> {
  const { dev, ino } = await stat(path, { bigint: true });
  return `${dev}:${ino}`;
}

async function nextEntry({ dir, path, name }: Level): Promise<Dirent | BadEntry | undefined> {
  try {
    return (await dir.read()) ?? undefined;
  } catch (error) {
    return bad(path, name, error, true);
  }
}

function bad(path: string, name: string, error: unknown, mayHoldFiles: boolean): BadEntry {
  return { subject: { path }, problem: problemOf(error), name, mayHoldFiles };
}

function symlinkLoop(): LocalError {
  return new LocalError('symlink_loop', 'The symbolic link leads to a directory that it lies in.');
}

/** Whether the system knows an entry by bytes that are no text, which Node reads as this character. */
async function isMisread({ name }: Dirent, path: string): Promise<boolean> {
  if (!name.includes('\ufffd')) return false;
  return lstat(path).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  );
}

function notUtf8(): LocalError {
  return new LocalError('unsafe_path', 'The name is not valid UTF-8, as keys are; rename it.');
}

/** What lies at the end of an entry, or what is wrong with it. */
async function kindOf(entry: Dirent, path: string): Promise<'file' | 'directory' | Error> {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'directory';
  try {
    // A link, or a file system that does not say.
    const target = await stat(path);
    if (target.isFile()) return 'file';
    if (target.isDirectory()) return 'directory';
    return notRegular();
  } catch (error) {
    return error as Error;
  }
}

/** For pipes, sockets and devices, reading which might never end. */
export function notRegular(): LocalError {
  return new LocalError('not_a_file', 'It is neither a file nor a directory.');
}
