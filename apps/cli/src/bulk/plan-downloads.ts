import { basename, dirname } from 'node:path';

import { isDirectory } from '@coffer/storage-core';
import type { ObjectSummary } from '@coffer/storage-core';

import { LocalError, problemOf, UsageError } from '../problem.ts';
import { keyArgument } from '../render/shell.ts';
import type { Filter } from './filter.ts';
import { folderPrefix, lastPart, nothingBelowError } from './prefix.ts';
import { SortedNames } from './sorted-names.ts';
import type { Failure } from './task.ts';

/** An object and its destination. */
export interface PlannedDownload {
  readonly key: string;
  /** Relative to `DownloadDestination.folder`, separated by `/`. */
  readonly name: string;
  /** What the listing said. */
  readonly listed?: Pick<ObjectSummary, 'size' | 'etag'>;
}

/** Where the files go. */
export interface DownloadDestination {
  readonly folder: string;
  /** The one file that is written, where `--output` names a file. */
  readonly file?: string;
}

/**
 * `--output` is a folder when it ends in a slash, is an existing folder, or more than one file may come. @throws UsageError when it
 * is empty
 */
export async function downloadDestinationOf(output: string, keys: readonly string[], recursive: boolean): Promise<DownloadDestination> {
  if (output === '') throw new UsageError('--output must name a file or a folder.');
  const isNamedFolder = output.endsWith('/') || ['.', '..'].includes(basename(output));
  if (recursive || new Set(keys).size > 1 || isNamedFolder || (await isDirectory(output))) return { folder: output };
  return { folder: dirname(output), file: basename(output) };
}

/** Names each file by the last part of its key, or by the whole key where several keys share that part. */
export function* planKeys(
  keys: readonly string[],
  destination: DownloadDestination,
): Generator<PlannedDownload | Failure, void, undefined> {
  const uniqueKeys = [...new Set(keys)];
  const countByName = new Map<string, number>();
  for (const name of uniqueKeys.map(lastPart)) countByName.set(name, (countByName.get(name) ?? 0) + 1);
  for (const key of uniqueKeys) {
    if (key.endsWith('/')) yield { subject: { key }, problem: problemOf(folderKeyError(key)) };
    else yield { key, name: destination.file ?? (countByName.get(lastPart(key)) === 1 ? lastPart(key) : key) };
  }
}

export interface PrefixRequest {
  readonly prefix: string;
  /** Earlier prefixes whose objects go to the same folder. */
  readonly earlier: readonly string[];
  readonly filter: Filter;
  readonly list: (folder: string) => AsyncIterable<ObjectSummary>;
}

/** Plans everything below a prefix, named by its path below it. A name that an earlier prefix has as well is a failure. */
export async function* planBelow({
  prefix,
  earlier,
  filter,
  list,
}: PrefixRequest): AsyncGenerator<PlannedDownload | Failure, void, undefined> {
  const folder = folderPrefix(prefix);
  const earlierFolders = earlier.map(folderPrefix).map((path) => ({ path, names: new SortedNames(namesBelow(path, list)) }));
  let isEmpty = true;
  try {
    for await (const { key, size, etag } of list(folder)) {
      const name = key.slice(folder.length);
      if (name === '' && size === 0) continue; // the object that represents the folder itself
      isEmpty = false;
      if (!filter(name)) continue;
      if (name === '') {
        yield { subject: { key }, problem: problemOf(folderWithContentError(key)) };
        continue;
      }
      const earlierKey = name.endsWith('/') ? undefined : await earlierKeyOf(name, earlierFolders);
      yield earlierKey === undefined
        ? { key, name, listed: { size, etag } }
        : { subject: { key }, problem: problemOf(conflictError(earlierKey)) };
    }
  } finally {
    for (const { names } of earlierFolders) await names.close();
  }
  if (isEmpty) yield { subject: { key: prefix }, problem: problemOf(nothingBelowError(folder)) };
}

async function* namesBelow(folder: string, list: PrefixRequest['list']): AsyncGenerator<string, void, undefined> {
  for await (const { key } of list(folder)) yield key.slice(folder.length);
}

/** The key of the object of this name in the first folder that has one. */
async function earlierKeyOf(
  name: string,
  folders: readonly { readonly path: string; readonly names: SortedNames }[],
): Promise<string | undefined> {
  for (const { path, names } of folders) if (await names.has(name)) return path + name;
  return undefined;
}

function conflictError(earlierKey: string): Error {
  return new LocalError('path_conflict', `${earlierKey} would become the same file.`);
}

/** For an object with content whose key a file system can only represent as a folder. */
export function folderWithContentError(key: string): Error {
  const hint = `"download --output - ${keyArgument(key)}" writes it to stdout`;
  return new LocalError('is_a_directory', `The key ends in "/", like a folder, but the object has content; ${hint}.`);
}

function folderKeyError(key: string): Error {
  return new LocalError('is_a_directory', `The key stands for a folder; use "download --recursive ${keyArgument(key)}" for what is in it.`);
}
