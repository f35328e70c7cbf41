import type { SQLInputValue, StatementSync } from 'node:sqlite';

import { storageError } from '@coffer/storage-core';
import type { CannedAcl, ListOptions, ListPage, ObjectAddress } from '@coffer/storage-core';

import type { BlobId } from './blob-id.ts';
import type { BucketIndex } from './bucket-index.ts';
import type { IndexFile } from './index-file.ts';
import { listPage, objectsFrom } from './listing.ts';
import { bytes, hex, rowOf, storedOf } from './object-row.ts';
import type { ObjectRow, StoredRow } from './object-row.ts';

/** What a write requires of the object that it replaces, if there is one. */
export interface WriteConditions {
  readonly ifNoneMatch?: '*' | undefined;
  readonly ifMatch?: string | undefined;
}

const columns = 'blob, size, md5, sha256, modified, content_type, storage_class, acl, metadata';

/**
 * Which objects exist, and which blob holds the bytes of each. A row is the commit point of a write: bytes without a row exist for no
 * reader. Every change resolves once it is committed; `IndexFile.durable()` resolves once it survives a power loss.
 */
export class ObjectIndex {
  readonly #file: IndexFile;
  readonly #buckets: BucketIndex;
  readonly #find: StatementSync;
  readonly #insert: StatementSync;
  readonly #delete: StatementSync;
  readonly #setAcl: StatementSync;
  readonly #owned: StatementSync;
  readonly #page: StatementSync;

  constructor(file: IndexFile, buckets: BucketIndex) {
    const { db } = file;
    this.#file = file;
    this.#buckets = buckets;
    this.#find = db.prepare(`SELECT ${columns} FROM objects WHERE bucket = ? AND key = ?`);
    this.#insert = db.prepare(`INSERT OR REPLACE INTO objects (bucket, key, ${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#delete = db.prepare('DELETE FROM objects WHERE bucket = ? AND key = ? RETURNING blob');
    this.#setAcl = db.prepare('UPDATE objects SET acl = ? WHERE bucket = ? AND key = ?');
    this.#owned = db.prepare('SELECT 1 FROM objects WHERE blob = ?');
    this.#page = db.prepare(objectsFrom);
  }

  /** @throws no_such_bucket, file_not_found */
  find(at: ObjectAddress): Promise<ObjectRow> {
    return this.#file.read(() => {
      const row = this.#row(this.#buckets.requireId(at.bucket), at.key);
      if (row === undefined) throw notFound(at);
      return row;
    });
  }

  /**
   * Whether a write would be accepted as things stand; `commit` decides.
   * @throws no_such_bucket, precondition_failed, storage_unavailable
   */
  async checkWrite(at: ObjectAddress, conditions: WriteConditions): Promise<void> {
    await this.#file.assertRoom();
    return this.#file.read(() => {
      this.#file.assertInPlace();
      const bucket = this.#buckets.requireId(at.bucket);
      if (conditions.ifNoneMatch !== undefined || conditions.ifMatch !== undefined) assertConditions(this.#row(bucket, at.key), conditions);
    });
  }

  /**
   * Makes `row` the object at `at`, in one transaction, provided that the bucket still exists, the conditions hold, and `blobExists`
   * confirms that no sweep removed the blob.
   * @returns the blobs that are no longer referred to
   * @throws no_such_bucket, precondition_failed, storage_unavailable
   */
  commit(at: ObjectAddress, row: ObjectRow, conditions: WriteConditions, blobExists: () => boolean): Promise<readonly BlobId[]> {
    const stored = storedOf(row);
    return this.#file.write(() => {
      const bucket = this.#buckets.requireId(at.bucket);
      const replaced = this.#row(bucket, at.key);
      assertConditions(replaced, conditions);
      if (!blobExists()) throw storageError('storage_unavailable', 'The bytes of the object were swept away before it was complete.');
      this.#insert.run(
        bucket,
        Buffer.from(at.key),
        stored.blob,
        stored.size,
        stored.md5,
        stored.sha256,
        stored.modified,
        stored.content_type,
        stored.storage_class,
        stored.acl,
        stored.metadata,
      );
      return replaced === undefined ? [] : [replaced.blob];
    });
  }

  /** Removes the rows of `keys`. @returns the blobs that are no longer referred to @throws no_such_bucket */
  remove(bucketName: string, keys: readonly string[]): Promise<readonly BlobId[]> {
    return this.#file.remove(() => {
      const bucket = this.#buckets.requireId(bucketName);
      return keys.flatMap((key) => this.#removed(bucket, key));
    });
  }

  /** Like `remove`, of an object that has this ETag in the same transaction. @throws no_such_bucket, precondition_failed */
  removeIfMatch(at: ObjectAddress, ifMatch: string): Promise<readonly BlobId[]> {
    return this.#file.remove(() => {
      const bucket = this.#buckets.requireId(at.bucket);
      assertConditions(this.#row(bucket, at.key), { ifMatch });
      return this.#removed(bucket, at.key);
    });
  }

  /** @throws no_such_bucket, file_not_found */
  setAcl(at: ObjectAddress, acl: CannedAcl): Promise<void> {
    return this.#file.write(() => {
      const { changes } = this.#setAcl.run(acl, this.#buckets.requireId(at.bucket), Buffer.from(at.key));
      if (changes === 0) throw notFound(at);
    });
  }

  /** One page, in byte order of the keys. @throws no_such_bucket, invalid_argument */
  list(bucketName: string, options: ListOptions): Promise<ListPage> {
    return this.#file.readMany(() => {
      const bucket = this.#buckets.requireId(bucketName);
      return listPage((from, end) => rowsOf(this.#page, bucket, from, end), options);
    });
  }

  /** The blobs among `blobs` that no object refers to. */
  unowned(blobs: readonly BlobId[]): Promise<readonly BlobId[]> {
    return this.#file.readMany(() => blobs.filter((blob) => !this.#isOwned(blob)));
  }

  /** Calls `take`, which must be synchronous, for each candidate that no object refers to, under a lock that keeps new references out. */
  takeUnowned<C extends { readonly blob: BlobId }>(candidates: readonly C[], take: (candidate: C) => void): Promise<void> {
    return this.#file.write(() => {
      for (const candidate of candidates) if (!this.#isOwned(candidate.blob)) take(candidate);
    });
  }

  #isOwned(blob: BlobId): boolean {
    return this.#owned.get(bytes(blob)) !== undefined;
  }

  #removed(bucket: number, key: string): readonly BlobId[] {
    const removed = this.#delete.get(bucket, Buffer.from(key)) as Pick<StoredRow, 'blob'> | undefined;
    return removed === undefined ? [] : [hex(removed.blob)];
  }

  #row(bucket: number, key: string): ObjectRow | undefined {
    const stored = this.#find.get(bucket, Buffer.from(key)) as StoredRow | undefined;
    return stored === undefined ? undefined : rowOf(stored);
  }
}

/** Ends the scan also when it fails: otherwise the next one would report the failure once more. */
function* rowsOf(statement: StatementSync, ...values: SQLInputValue[]): Iterable<Record<string, unknown>> {
  const rows = statement.iterate(...values);
  try {
    yield* rows;
  } finally {
    rows.return?.();
  }
}

function assertConditions(row: ObjectRow | undefined, { ifNoneMatch, ifMatch }: WriteConditions): void {
  if (ifNoneMatch !== undefined && row !== undefined) throw storageError('precondition_failed', 'An object with this key already exists.');
  if (ifMatch !== undefined && row?.md5 !== ifMatch)
    throw storageError('precondition_failed', 'The object has a different ETag than requested.');
}

function notFound(at: ObjectAddress): Error {
  return storageError('file_not_found', `There is no object "${at.key}" in the bucket "${at.bucket}".`);
}
