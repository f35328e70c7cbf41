import type { DatabaseSync } from 'node:sqlite';

import { storageError } from '@coffer/storage-core';

const layoutVersion = 1;

/*
 * The blob index lets sweeps ask "does a row own these bytes?". Its entries are ordered by time, since blob ids begin with it, so an
 * insert touches a page that is cached anyway.
 */
const schema = `
  CREATE TABLE buckets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    region TEXT NOT NULL,
    acl TEXT NOT NULL,
    created INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE objects (
    bucket INTEGER NOT NULL REFERENCES buckets (id),
    key BLOB NOT NULL,
    blob BLOB NOT NULL,
    size INTEGER NOT NULL,
    md5 BLOB NOT NULL,
    sha256 BLOB NOT NULL,
    modified INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    storage_class TEXT NOT NULL,
    acl TEXT NOT NULL,
    metadata TEXT,
    PRIMARY KEY (bucket, key)
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX objects_by_blob ON objects (blob);
`;

/** Sets up a connection, and a new file. @throws storage_unavailable for a file that a newer version wrote, and errors of SQLite */
export function prepare(db: DatabaseSync): void {
  const mode = db.prepare('PRAGMA journal_mode = WAL').get() as { readonly journal_mode: string };
  if (mode.journal_mode !== 'wal')
    throw storageError('storage_unavailable', 'The file system cannot hold the index: it has no shared memory.');
  db.exec('PRAGMA synchronous = NORMAL; PRAGMA cache_size = -8192');
  db.exec('BEGIN IMMEDIATE');
  try {
    const { user_version: version } = db.prepare('PRAGMA user_version').get() as { readonly user_version: number };
    if (version > layoutVersion)
      throw storageError('storage_unavailable', 'The storage directory was written by a newer version.', { retryable: false });
    if (version === 0) db.exec(`${schema}; PRAGMA user_version = ${layoutVersion}`);
    // SQLite opens a file for reading only when it cannot write it at that moment, and would refuse writes until it is closed.
    db.exec('DELETE FROM buckets WHERE FALSE');
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}
