import type { StatementSync } from 'node:sqlite';

import { storageError } from '@coffer/storage-core';
import type { CannedAcl } from '@coffer/storage-core';

import type { BlobId } from './blob-id.ts';
import type { IndexFile } from './index-file.ts';
import { hex } from './object-row.ts';

export interface BucketRow {
  readonly name: string;
  readonly region: string;
  readonly acl: CannedAcl;
  readonly created: Date;
}

interface StoredBucket {
  readonly name: string;
  readonly region: string;
  readonly acl: string;
  readonly created: number;
}

// Rows per transaction of a forced removal: a few milliseconds, also in a large index, where each row lies on a page of its own.
const removalBatch = 250;

/** The buckets that exist. */
export class BucketIndex {
  readonly #file: IndexFile;
  readonly #all: StatementSync;
  readonly #find: StatementSync;
  readonly #insert: StatementSync;
  readonly #setAcl: StatementSync;
  readonly #id: StatementSync;
  readonly #some: StatementSync;
  readonly #deleteUpTo: StatementSync;
  readonly #delete: StatementSync;

  constructor(file: IndexFile) {
    const { db } = file;
    this.#file = file;
    this.#all = db.prepare('SELECT name, region, acl, created FROM buckets ORDER BY name');
    this.#find = db.prepare('SELECT name, region, acl, created FROM buckets WHERE name = ?');
    this.#insert = db.prepare('INSERT INTO buckets (name, region, acl, created) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING');
    this.#setAcl = db.prepare('UPDATE buckets SET acl = ? WHERE name = ?');
    this.#id = db.prepare('SELECT id FROM buckets WHERE name = ?');
    this.#some = db.prepare('SELECT key, blob FROM objects WHERE bucket = ? ORDER BY key LIMIT ?');
    this.#deleteUpTo = db.prepare('DELETE FROM objects WHERE bucket = ? AND key <= ?');
    this.#delete = db.prepare('DELETE FROM buckets WHERE id = ?');
  }

  all(): Promise<readonly BucketRow[]> {
    return this.#file.read(() => (this.#all.all() as unknown as readonly StoredBucket[]).map(bucketOf));
  }

  /** @throws no_such_bucket */
  find(name: string): Promise<BucketRow> {
    return this.#file.read(() => {
      const stored = this.#find.get(name) as StoredBucket | undefined;
      if (stored === undefined) throw noSuchBucket(name);
      return bucketOf(stored);
    });
  }

  /** The id that tells a bucket from an earlier one of the same name; undefined when there is no such bucket. */
  idOf(name: string): Promise<number | undefined> {
    return this.#file.read(() => this.#idOf(name));
  }

  /** The id of an existing bucket. Call it within a read or a transaction of the index. @throws no_such_bucket */
  requireId(name: string): number {
    const id = this.#idOf(name);
    if (id === undefined) throw noSuchBucket(name);
    return id;
  }

  /** @throws bucket_already_exists */
  create(bucket: BucketRow): Promise<void> {
    return this.#file.write(() => {
      const { changes } = this.#insert.run(bucket.name, bucket.region, bucket.acl, bucket.created.getTime());
      if (changes === 0) throw storageError('bucket_already_exists', `The bucket "${bucket.name}" already exists.`);
    });
  }

  /** @throws no_such_bucket */
  setAcl(name: string, acl: CannedAcl): Promise<void> {
    return this.#file.write(() => {
      if (this.#setAcl.run(acl, name).changes === 0) throw noSuchBucket(name);
    });
  }

  /**
   * Removes the bucket if it is empty. With `force` it first removes up to one batch of objects, and removes the bucket together with
   * the last batch: a committed write is either in a batch or keeps the bucket.
   * @throws no_such_bucket, bucket_not_empty
   */
  remove(name: string, force: boolean): Promise<{ readonly blobs: readonly BlobId[]; readonly gone: boolean }> {
    return this.#file.remove(() => {
      const id = this.requireId(name);
      const rows = this.#some.all(id, force ? removalBatch : 1) as unknown as readonly {
        readonly key: Uint8Array;
        readonly blob: Uint8Array;
      }[];
      if (rows.length > 0 && !force) throw storageError('bucket_not_empty', `The bucket "${name}" is not empty.`);
      const last = rows.at(-1);
      if (last !== undefined) this.#deleteUpTo.run(id, last.key);
      const gone = rows.length < removalBatch;
      if (gone) this.#delete.run(id);
      return { blobs: rows.map((row) => hex(row.blob)), gone };
    });
  }

  #idOf(name: string): number | undefined {
    return (this.#id.get(name) as { readonly id: number } | undefined)?.id;
  }
}

export function noSuchBucket(name: string): Error {
  return storageError('no_such_bucket', `There is no bucket "${name}".`);
}

function bucketOf(stored: StoredBucket): BucketRow {
  return { name: stored.name, region: stored.region, acl: stored.acl as CannedAcl, created: new Date(stored.created) };
}
