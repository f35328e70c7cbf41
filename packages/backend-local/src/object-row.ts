import type { CannedAcl, ObjectAddress, ObjectInfo } from '@coffer/storage-core';

import type { BlobId } from './blob-id.ts';

/** What the index stores for one object, besides its bucket and key. */
export interface ObjectRow {
  readonly blob: BlobId;
  readonly size: number;
  /** Lower-case hex, like `sha256`. */
  readonly md5: string;
  readonly sha256: string;
  readonly modified: Date;
  readonly contentType: string;
  readonly storageClass: string;
  readonly acl: CannedAcl;
  readonly metadata: Readonly<Record<string, string>>;
}

export function infoOf(at: ObjectAddress, row: ObjectRow): ObjectInfo {
  return {
    bucket: at.bucket,
    key: at.key,
    size: row.size,
    etag: row.md5,
    contentType: row.contentType,
    lastModified: row.modified,
    storageClass: row.storageClass,
    metadata: row.metadata,
    sha256: row.sha256,
  };
}

/** A row as SQLite stores it; `modified` is in milliseconds since 1970. */
export interface StoredRow {
  readonly blob: Uint8Array;
  readonly size: number;
  readonly md5: Uint8Array;
  readonly sha256: Uint8Array;
  readonly modified: number;
  readonly content_type: string;
  readonly storage_class: string;
  readonly acl: string;
  readonly metadata: string | null;
}

export function rowOf(stored: StoredRow): ObjectRow {
  return {
    blob: hex(stored.blob),
    size: stored.size,
    md5: hex(stored.md5),
    sha256: hex(stored.sha256),
    modified: new Date(stored.modified),
    contentType: stored.content_type,
    storageClass: stored.storage_class,
    acl: stored.acl as CannedAcl,
    metadata: stored.metadata === null ? {} : (JSON.parse(stored.metadata) as Record<string, string>),
  };
}

export function storedOf(row: ObjectRow): StoredRow {
  return {
    blob: bytes(row.blob),
    size: row.size,
    md5: bytes(row.md5),
    sha256: bytes(row.sha256),
    modified: row.modified.getTime(),
    content_type: row.contentType,
    storage_class: row.storageClass,
    acl: row.acl,
    metadata: Object.keys(row.metadata).length === 0 ? null : JSON.stringify(row.metadata),
  };
}

export function hex(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex');
}

export function bytes(value: string): Uint8Array {
  return Buffer.from(value, 'hex');
}
