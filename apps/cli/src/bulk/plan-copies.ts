import type { ObjectSummary } from '@coffer/storage-core';

import { problemOf, UsageError } from '../problem.ts';
import type { Filter } from './filter.ts';
import { folderPrefix, lastPart, nothingBelowError } from './prefix.ts';
import type { Failure } from './task.ts';

export interface CopyArguments {
  readonly source: string;
  readonly destination?: string | undefined;
  readonly toKey?: string | undefined;
  readonly toBucket?: string | undefined;
  readonly recursive: boolean;
}

/** The source and the destination: two keys or two prefixes. */
export interface CopyNames {
  readonly from: string;
  readonly to: string;
}

/** @throws UsageError where the arguments do not name exactly one destination */
export function copyNames(given: CopyArguments): CopyNames {
  const { source, destination, toKey, toBucket, recursive } = given;
  if (destination !== undefined && toKey !== undefined)
    throw new UsageError('DST and --to-key both set the new key; give only one of them.');
  if (destination === undefined && toKey === undefined && toBucket === undefined) {
    throw new UsageError('Give a new key (DST or --to-key) or another bucket (--to-bucket).');
  }
  if (source === '' && !recursive) throw new UsageError('SRC must be the key of an object.');
  if (toKey === '' && !recursive) throw new UsageError('--to-key must not be empty.');
  if (recursive) return { from: folderPrefix(source), to: folderPrefix(toKey ?? destination ?? source) };
  // As with files: a folder as destination keeps the name.
  const isInto = destination?.endsWith('/') === true || destination === '';
  return { from: source, to: toKey ?? (isInto ? `${destination}${lastPart(source)}` : (destination ?? source)) };
}

/** @throws UsageError for a copy of objects onto themselves, or one that would copy its own copies again and again */
export function assertApart(
  given: CopyNames & { readonly recursive: boolean; readonly acl?: string | undefined; readonly storageClass?: string | undefined },
): void {
  const { from, to, recursive, acl, storageClass } = given;
  if (from === to && acl === undefined && storageClass === undefined) throw new UsageError('Source and destination are the same.');
  if (recursive && from !== to && to.startsWith(from)) throw new UsageError('The destination lies below the source.');
}

export interface PlannedCopy {
  readonly from: string;
  readonly to: string;
  readonly listed?: Pick<ObjectSummary, 'size' | 'etag'>;
}

/** Plans to copy everything below one prefix to the same names below another. */
export async function* planCopies(
  { from, to }: CopyNames,
  filter: Filter,
  objects: AsyncIterable<ObjectSummary>,
): AsyncGenerator<PlannedCopy | Failure, void, undefined> {
  let isEmpty = true;
  for await (const { key, size, etag } of objects) {
    isEmpty = false;
    const name = key.slice(from.length);
    if (to + name === '' && size === 0) continue; // it represents the folder itself, and a bucket as a whole needs none
    if (filter(name)) yield { from: key, to: to + name, listed: { size, etag } };
  }
  if (isEmpty) yield { subject: { key: from }, problem: problemOf(nothingBelowError(from)) };
}
