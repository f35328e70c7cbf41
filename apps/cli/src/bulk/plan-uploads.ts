import { stat } from 'node:fs/promises';
import { basename, resolve, sep } from 'node:path';

import { LocalError, problemOf, UsageError } from '../problem.ts';
import type { Filter } from './filter.ts';
import { ownDataError } from './own-data.ts';
import { isFailure } from './task.ts';
import type { Failure } from './task.ts';
import { badEntry, notRegularError, pathBelow, walk } from './walk.ts';
import type { BadEntry, WalkOptions } from './walk.ts';

/** One PATH of the command line. */
export type Source =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'directory'; readonly path: string }
  | (BadEntry & { readonly kind: 'failure' });

/** A file and the key it will have. */
export interface PlannedUpload {
  readonly path: string;
  readonly key: string;
}

export interface UploadNames {
  readonly key?: string | undefined;
  readonly prefix?: string | undefined;
}

/**
 * Checks what the command line names, before anything is uploaded.
 * @throws UsageError for a path that is empty or given twice, a directory without `recursive`, a key given for several files, and files
 * that would get the same key
 */
export async function sourcesOf(
  paths: readonly string[],
  names: UploadNames & { readonly recursive: boolean },
): Promise<readonly Source[]> {
  const given = new Set<string>();
  for (const path of paths) {
    if (path === '') throw new UsageError('PATH must not be empty.');
    if (given.has(resolve(path))) throw new UsageError(`${path} is given twice.`);
    given.add(resolve(path));
  }
  const mayEndInKey = paths.length === 2 && names.prefix === undefined && !names.recursive;
  const sources = await Promise.all(paths.map((path, index) => sourceAt(path, mayEndInKey && index === 1)));
  const directory = sources.find((source) => source.kind === 'directory');
  if (directory !== undefined && !names.recursive) {
    throw new UsageError(`${directory.path} is a directory; use --recursive to upload what is in it.`);
  }
  if (names.key !== undefined && (paths.length > 1 || directory !== undefined)) {
    throw new UsageError('--key names one object, but there are several files; use --prefix.');
  }
  const sourceByKey = new Map<string, string>();
  for (const source of sources) {
    if (source.kind !== 'file') continue;
    const key = keyFor(basename(source.path), names);
    const other = sourceByKey.get(key);
    if (other !== undefined) throw new UsageError(`${other} and ${source.path} would both become ${key}.`);
    sourceByKey.set(key, source.path);
  }
  return sources;
}

export interface UploadFilters {
  readonly files: Filter;
  /** Whether a folder may hold any of them. */
  readonly folders: Filter;
}

/** Files are named by the last part of their path, files in a directory by their path below it. */
export async function* planUploads(
  sources: readonly Source[],
  names: UploadNames,
  filters: UploadFilters,
  { ownData, signal }: Omit<WalkOptions, 'shouldEnter'> = {},
): AsyncGenerator<PlannedUpload | Failure, void, undefined> {
  const directories: Source[] = [];
  for (const [index, source] of sources.entries()) {
    if (source.kind === 'failure') {
      yield* failureOf(source, filters);
    } else if (await ownData?.contains(source.path).catch(() => false)) {
      // a file that has gone meanwhile fails when it is opened
      yield* failureOf(badEntry(source.path, basename(source.path), ownDataError(), source.kind === 'directory'), filters);
    } else if (source.kind === 'file') {
      const file = { path: source.path, name: basename(source.path) };
      // Files named on the command line have already been compared with each other.
      if (filters.files(file.name)) yield plannedUnlessTaken(file, directories, names);
    } else {
      const earlier = sources.slice(0, index);
      directories.push(source);
      for await (const found of walk(source.path, { ownData, signal, shouldEnter: filters.folders })) {
        if (isFailure(found)) yield* failureOf(found, filters);
        else if (filters.files(found.name)) yield plannedUnlessTaken(found, earlier, names);
      }
    }
  }
}

async function sourceAt(path: string, mayBeKey: boolean): Promise<Source> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) return { kind: 'directory', path };
    if (found.isFile()) return { kind: 'file', path };
    // Shells pass the output of another command as a pipe: <(pg_dump app).
    const problem = found.isFIFO()
      ? new LocalError('not_a_file', 'It is a pipe; use "upload - --key KEY" to upload from stdin.')
      : notRegularError();
    return { kind: 'failure', ...badEntry(path, basename(path), problem, false) };
  } catch (error) {
    const bad = badEntry(path, basename(path), error, true);
    const { code, message } = bad.problem;
    const isFolder = path.endsWith('/');
    if (code !== 'no_such_file' || !(isFolder || mayBeKey)) return { kind: 'failure', ...bad };
    // In other tools, the last path is the destination.
    const hint = isFolder ? 'To set the prefix of the keys, use --prefix.' : 'To set the key, use --key.';
    return { kind: 'failure', ...bad, problem: { ...bad.problem, message: `${message} ${hint}` } };
  }
}

/** The failure, unless the filters exclude the entry. */
function* failureOf(
  { subject, problem, name, mayHoldFiles }: BadEntry,
  { files, folders }: UploadFilters,
): Generator<Failure, void, undefined> {
  const isSelected = (mayHoldFiles ? folders : files)(name);
  if (isSelected) yield { subject, problem };
}

/** The upload of a file, or a failure if an earlier source has a file that gets the same key. Asks the disk instead of remembering keys. */
async function plannedUnlessTaken(
  { path, name }: { readonly path: string; readonly name: string },
  earlier: readonly Source[],
  names: UploadNames,
): Promise<PlannedUpload | Failure> {
  const key = keyFor(name, names);
  for (const source of earlier) {
    if (source.kind === 'failure') continue;
    const other = source.kind === 'file' ? source.path : pathBelow(source.path, name.split('/').join(sep));
    const isSame = source.kind === 'file' ? basename(other) === name : await isFile(other);
    if (!isSame) continue;
    const error = new LocalError('path_conflict', `${other} already has the key ${key}.`);
    return { subject: { path }, problem: problemOf(error) };
  }
  return { path, key };
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

function keyFor(name: string, { key, prefix }: UploadNames): string {
  if (key !== undefined) return key;
  const portable = sep === '\\' ? name.replaceAll('\\', '/') : name;
  return prefix === undefined || prefix === '' ? portable : `${prefix.replace(/(?<!\/)$/, '/')}${portable}`;
}
