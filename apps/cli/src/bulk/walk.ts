import type { Dir, Dirent } from 'node:fs';
import { lstat, opendir, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';

import { LocalError, problemOf } from '../problem.ts';
import { folderId } from './own-data.ts';
import type { OwnData } from './own-data.ts';
import { isFailure } from './task.ts';
import type { Failure } from './task.ts';

export interface FoundFile {
  readonly path: string;
  /** Relative to the root, with `/` on every system. */
  readonly name: string;
}

/** An entry that is neither a file to read nor a folder to enter. */
export interface BadEntry extends Failure {
  readonly name: string;
  /** Whether there may be files below it, which nobody can see. */
  readonly mayHoldFiles: boolean;
}

interface Level {
  readonly dir: Dir;
  readonly path: string;
  readonly name: string;
  /** Identifies this directory when a symbolic link leads back to it. */
  readonly id: string;
  /** Names with the replacement character, which may stand for invalid UTF-8. */
  readonly suspectNames: Set<string>;
}

/** Entries that are read from a directory at once. */
const bufferSize = 256;

export interface WalkOptions {
  /** Folders to leave out. */
  readonly ownData?: OwnData | undefined;
  /** Checked while nothing is found, too: otherwise Ctrl-C would not stop a plan that yields nothing for long. */
  readonly signal?: AbortSignal | undefined;
  /** Whether to enter a folder, named like the files in it. Default: all are entered. */
  readonly shouldEnter?: (name: string) => boolean;
}

/**
 * The files below a directory, read on demand. Symbolic links are followed, but not in circles. An entry that is neither a file nor a
 * directory, or cannot be read, is yielded as a failure.
 * @throws the reason of `signal`
 */
export async function* walk(
  root: string,
  { ownData, signal, shouldEnter = () => true }: WalkOptions = {},
): AsyncGenerator<FoundFile | BadEntry, void, undefined> {
  const levels: Level[] = [];
  const enter = async (path: string, name: string): Promise<BadEntry | undefined> => {
    try {
      const id = await folderId(path);
      if (ownData?.hasId(id) === true) {
        ownData.onSkipped(path);
        return undefined;
      }
      if (levels.some((level) => level.id === id)) return badEntry(path, name, symlinkLoopError(), false);
      levels.push({ dir: await opendir(path, { bufferSize }), path, name, id, suspectNames: new Set() });
      return undefined;
    } catch (error) {
      return badEntry(path, name, error, true);
    }
  };

  try {
    const failure = await enter(root, '');
    if (failure !== undefined) yield failure;
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      signal?.throwIfAborted();
      const entry = await nextEntry(level);
      if (entry === undefined) {
        levels.pop();
        await level.dir.close();
        continue;
      }
      if (isFailure(entry)) {
        levels.pop();
        await level.dir.close().catch(() => {});
        yield entry;
        continue;
      }
      const path = pathBelow(level.path, entry.name);
      const name = level.name === '' ? entry.name : `${level.name}/${entry.name}`;
      const kind = await kindOf(entry, path);
      if (await isMisread(entry, level)) yield badEntry(path, name, notUtf8Error(), kind !== 'file');
      else if (kind !== 'file' && kind !== 'directory') yield badEntry(path, name, kind, false);
      else if (entry.isSymbolicLink() && (await isLinkInto(ownData, path))) ownData?.onSkipped(path);
      else if (kind === 'file') yield { path, name };
      else if (shouldEnter(name)) {
        const rejected = await enter(path, name);
        if (rejected !== undefined) yield rejected;
      }
    }
  } finally {
    for (const { dir } of levels) await dir.close().catch(() => {});
  }
}

/** Joins as the system resolves it: after a link, `..` leads elsewhere than `join` assumes. */
export function pathBelow(folder: string, name: string): string {
  if (!folder.split(sep).includes('..')) return join(folder, name);
  return folder.endsWith(sep) ? folder + name : folder + sep + name;
}

/** A file that has gone meanwhile fails when it is opened. */
async function isLinkInto(ownData: OwnData | undefined, path: string): Promise<boolean> {
  return ownData !== undefined && (await ownData.contains(path).catch(() => false));
}

async function nextEntry({ dir, path, name }: Level): Promise<Dirent | BadEntry | undefined> {
  try {
    return (await dir.read()) ?? undefined;
  } catch (error) {
    return badEntry(path, name, error, true);
  }
}

export function badEntry(path: string, name: string, error: unknown, mayHoldFiles: boolean): BadEntry {
  return { subject: { path }, problem: problemOf(error), name, mayHoldFiles };
}

function symlinkLoopError(): LocalError {
  return new LocalError('symlink_loop', 'The symbolic link leads to a directory that contains it.');
}

/** Whether the real name of an entry has bytes that are not valid UTF-8, which Node reads as this character. */
async function isMisread({ name }: Dirent, { path, suspectNames }: Level): Promise<boolean> {
  if (!name.includes('\ufffd')) return false;
  if (suspectNames.has(name)) return true; // the entry that really has this name came already, and no two have the same
  suspectNames.add(name);
  return lstat(pathBelow(path, name)).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  );
}

function notUtf8Error(): LocalError {
  return new LocalError('unsafe_path', 'The name is not valid UTF-8, as keys must be; rename it.');
}

/** What an entry is after following links, or what is wrong with it. */
async function kindOf(entry: Dirent, path: string): Promise<'file' | 'directory' | Error> {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'directory';
  try {
    // A link, or a file system that does not report the type of its entries.
    const target = await stat(path);
    if (target.isFile()) return 'file';
    if (target.isDirectory()) return 'directory';
    return notRegularError();
  } catch (error) {
    const leadsNowhere = entry.isSymbolicLink() && (error as NodeJS.ErrnoException).code === 'ENOENT';
    return leadsNowhere ? new LocalError('no_such_file', 'The target of the symbolic link does not exist.') : (error as Error);
  }
}

/** For pipes, sockets and devices, whose reading might never end. */
export function notRegularError(): LocalError {
  return new LocalError('not_a_file', 'Neither a file nor a directory.');
}
