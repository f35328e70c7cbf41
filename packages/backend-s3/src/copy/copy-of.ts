import { hasCode, storageError } from '@coffer/storage-core';
import type { CallContext, CopyOptions, ObjectAddress, ObjectInfo } from '@coffer/storage-core';

import { toStorageError } from '../errors.ts';
import type { EndpointProfile } from '../profile.ts';
import type { Store } from '../store.ts';
import type { CarriedHeaders, WriteHeaders, Written } from '../transport.ts';

export interface Copy {
  readonly source: ObjectAddress;
  readonly destination: ObjectAddress;
  readonly options: CopyOptions;
  /** The source when it was inspected. The copy is of this version if the server can guarantee that. */
  readonly from: ObjectInfo;
  readonly carried: CarriedHeaders;
  readonly tagCount: number;
  /** Whether the server may let the copy share the bytes of its source. */
  readonly sharing: () => Promise<boolean>;
  readonly headers: WriteHeaders;
  /** What is known about the server; undefined if nothing depends on it, or if the credentials may not probe. */
  readonly profile: EndpointProfile | undefined;
  readonly ctx: CallContext;
}

/** Undefined if nothing was written, because the source is no longer the version that was inspected. */
export type WrittenUnlessChanged = Written | undefined;

/** Whether the source is still the version that was inspected. */
export async function isUnchanged(store: Store, { source, from, ctx }: Copy): Promise<boolean> {
  const now = await store.transport.head(source, ctx).catch((error: unknown) => {
    if (hasCode(error, 'file_not_found')) return undefined;
    throw error;
  });
  return now?.etag === from.etag;
}

export async function assertAbsent(store: Store, at: ObjectAddress, ctx: CallContext): Promise<void> {
  if (!(await isAbsent(store, at, ctx))) throw keyTaken();
}

export async function isAbsent(store: Store, at: ObjectAddress, ctx: CallContext): Promise<boolean> {
  try {
    await store.transport.head(at, ctx);
  } catch (error) {
    if (hasCode(error, 'file_not_found')) return true;
    throw error;
  }
  return false;
}

export function isSame(a: ObjectAddress, b: ObjectAddress): boolean {
  return a.bucket === b.bucket && a.key === b.key;
}

export function sourceChanged(): Error {
  return storageError('precondition_failed', 'The source of the copy has a different ETag.');
}

export function keyTaken(): Error {
  return storageError('precondition_failed', 'An object with this key already exists.');
}

/** The request goes to the destination, where none of these errors can arise. */
export function asSourceError(error: unknown, { bucket, key }: ObjectAddress): unknown {
  if (hasCode(error, 'range_not_satisfiable')) return sourceChanged(); // Ceph does not compare the source of a part, and it is smaller now
  if (!hasCode(error, 'file_not_found', 'object_archived')) return error;
  return toStorageError(error.cause, { bucket, key, permission: 's3:GetObject' });
}
