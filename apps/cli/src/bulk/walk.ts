import type { Dir, Dirent } from 'node:fs';
import { lstat, opendir, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';

import { LocalError, problemOf } from '../problem.ts';
import { folderId } from './own-data.ts';
import type { OwnData } from './own-data.ts';
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

interface Level {
  readonly dir: Dir;
  readonly path: string;
  readonly name: string;
  /** Of this directory, to know it again at the end of a symbolic link. */
  readonly id: string;
  /** Names with the character that stands for bytes that are no text. */
  readonly doubtful: Set<string>;
}

/** Entries that are read from a directory at once. */
const bufferSize = 256;

export interface Walk {
  /** Left out. */
  readonly own?: OwnData | undefined;
  /** Looked at while nothing is found, too: a plan that has nothing to give yet hears of Ctrl-C from nowhere else. */
  readonly signal?: AbortSignal | undefined;
  /** Whether a folder, named as the files in it are, is looked into. Default: all are. */
  readonly enters?: (name: string) => boolean;
}

/**
 * The files below a directory, read as they are asked for. Symbolic links are followed, but not in circles; what is neither
 * a file nor a directory, or cannot be read, is a failure of its own.
 * @throws the reason of `signal`
 */
export async function* walk(
  root: string,
  { own, signal, enters = () => true }: Walk = {},
): AsyncGenerator<FoundFile | BadEntry, void, undefined> {
  const levels: Level[] = [];
  const enter = async (path: string, name: string): Promise<BadEntry | undefined> => {
    try {
      const id = await folderId(path);
      if (own?.is(id) === true) {
        own.leaveOut(path);
        return undefined;
      }
      if (levels.some((level) => level.id === id)) return badEntry(path, name, symlinkLoop(), false);
      levels.push({ dir: await opendir(path, { bufferSize }), path, name, id, doubtful: new Set() });
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
      if ('problem' in entry) {
        levels.pop();
        await level.dir.close().catch(() => {});
        yield entry;
        continue;
      }
      const path = pathBelow(level.path, entry.name);
      const name = level.name === '' ? entry.name : `${level.name}/${entry.name}`;
      const kind = await kindOf(entry, path);
      if (await isMisread(entry, level)) yield badEntry(path, name, notUtf8(), kind !== 'file');
      else if (kind !== 'file' && kind !== 'directory') yield badEntry(path, name, kind, false);
      else if (entry.isSymbolicLink() && (await leadsInto(own, path))) own?.leaveOut(path);
      else if (kind === 'file') yield { path, name };
      else if (enters(name)) {
        const refused = await enter(path, name);
        if (refused !== undefined) yield refused;
      }
    }
  } finally {
    for (const { dir } of levels) await dir.close().catch(() => {});
  }
}

/** As the system goes: out of the end of a link, `..` leads elsewhere than `join` thinks. */
export function pathBelow(folder: string, name: string): string {
  if (!folder.split(sep).includes('..')) return join(folder, name);
  return folder.endsWith(sep) ? folder + name : folder + sep + name;
}

/** One that is gone meanwhile is named when it is opened. */
async function leadsInto(own: OwnData | undefined, path: string): Promise<boolean> {
  return own !== undefined && (await own.holds(path).catch(() => false));
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

function symlinkLoop(): LocalError {
  return new LocalError('symlink_loop', 'The symbolic link leads to a directory that contains it.');
}

/** Whether the system knows an entry by bytes that are no text, which Node reads as this character. */
async function isMisread({ name }: Dirent, { path, doubtful }: Level): Promise<boolean> {
  if (!name.includes('\ufffd')) return false;
  if (doubtful.has(name)) return true; // what is really called so has come already, and no two are
  doubtful.add(name);
  return lstat(pathBelow(path, name)).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  );
}

function notUtf8(): LocalError {
  return new LocalError('unsafe_path', 'The name is not valid UTF-8, as keys must be; rename it.');
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
    const leadsNowhere = entry.isSymbolicLink() && (error as NodeJS.ErrnoException).code === 'ENOENT';
    return leadsNowhere ? new LocalError('no_such_file', 'The target of the symbolic link does not exist.') : (error as Error);
  }
}

/** For pipes, sockets and devices, reading which might never end. */
export function notRegular(): LocalError {
  return new LocalError('not_a_file', 'Neither a file nor a directory.');
}
