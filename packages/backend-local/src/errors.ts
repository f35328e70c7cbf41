import { constants as fileModes } from 'node:fs';
import { access } from 'node:fs/promises';
import { constants } from 'node:os';
import { dirname } from 'node:path';

import { isStorageError, storageError } from '@coffer/storage-core';
import type { StorageError, StorageErrorCode } from '@coffer/storage-core';

interface Meaning {
  readonly code: StorageErrorCode;
  readonly message: string;
  readonly retryable?: boolean;
}

const diskFull: Meaning = { code: 'storage_unavailable', message: 'The disk is full.', retryable: false };
const denied: Meaning = {
  code: 'access_denied',
  message: 'This process has no access to the storage directory; check its owner and mode.',
};
const readOnly: Meaning = {
  code: 'access_denied',
  message: 'The storage directory is on a read-only file system; it must be writable even for reading.',
};
const link: Meaning = { code: 'access_denied', message: 'The storage directory holds a link or a file where a directory belongs.' };
const unsuitable: Meaning = {
  code: 'storage_unavailable',
  message: 'The file system of the storage directory lacks the locks or the shared memory that its index needs; use a local disk.',
  retryable: false,
};
const failedDisk: Meaning = { code: 'storage_unavailable', message: 'The disk reported an error.', retryable: false };

const noMemory: Meaning = { code: 'storage_unavailable', message: 'The machine has no memory left.' };

const byErrno: Readonly<Record<string, Meaning>> = {
  ENOSPC: diskFull,
  EDQUOT: diskFull,
  EACCES: denied,
  EPERM: denied,
  EROFS: readOnly,
  ELOOP: link,
  ENOTDIR: link,
  EEXIST: link, // mkdir's error for a link or a file in the way
  EIO: failedDisk,
  ENXIO: failedDisk,
  ENODEV: failedDisk,
  ENOTCONN: failedDisk, // of a FUSE file system that has ended
  ESTALE: failedDisk,
  EFBIG: {
    code: 'storage_unavailable',
    message: 'The object is larger than the file system, or the limit on the size of files (ulimit -f), allows.',
    retryable: false,
  },
  ENOMEM: noMemory,
  EMFILE: { code: 'storage_unavailable', message: 'This process has too many files open.' },
  ENFILE: { code: 'storage_unavailable', message: 'The machine has too many files open.' },
  ENOENT: { code: 'storage_unavailable', message: 'A file or directory of the storage is missing.', retryable: false },
  ERR_WORKER_INIT_FAILED: { code: 'storage_unavailable', message: 'No thread could be started to hash an upload.' },
};

const locked: Meaning = { code: 'storage_unavailable', message: 'The index is locked by another process.' };

/** SQLite's primary result codes. @see https://www.sqlite.org/rescode.html */
const sqlite = {
  perm: 3,
  busy: 5,
  locked: 6,
  nomem: 7,
  readonly: 8,
  ioerr: 10,
  corrupt: 11,
  full: 13,
  cantopen: 14,
  protocol: 15,
  auth: 23,
  notadb: 26,
} as const;

/** SQLite's extended result codes for I/O errors: the primary code and a detail. */
const sqliteIoerr = {
  write: ioerrCode(3),
  lock: ioerrCode(15),
  shmopen: ioerrCode(18),
  shmsize: ioerrCode(19),
  shmlock: ioerrCode(20),
  shmmap: ioerrCode(21),
} as const;

function ioerrCode(detail: number): number {
  return sqlite.ioerr | (detail << 8);
}

const bySqlite: Readonly<Record<number, Meaning>> = {
  [sqlite.perm]: denied,
  [sqlite.busy]: locked,
  [sqlite.locked]: locked,
  [sqlite.nomem]: noMemory,
  [sqlite.readonly]: readOnly,
  [sqlite.ioerr]: failedDisk,
  [sqlite.corrupt]: { code: 'internal_error', message: 'The index is damaged, or the disk cannot read it.' },
  [sqlite.full]: diskFull,
  [sqlite.cantopen]: { code: 'storage_unavailable', message: 'The index cannot be opened.', retryable: false },
  [sqlite.protocol]: locked,
  [sqlite.auth]: denied,
  [sqlite.notadb]: { code: 'internal_error', message: 'The index is not a SQLite database.' },
};

/** The only place that knows what errno and SQLite result codes mean. */
export function toStorageError(cause: unknown): StorageError {
  if (isStorageError(cause)) return cause;
  return errorOf(cause, meaningOf(cause) ?? { code: 'internal_error', message: 'The local storage failed.' });
}

function errorOf(cause: unknown, meaning: Meaning): StorageError {
  return storageError(meaning.code, meaning.message, { cause, ...(meaning.retryable !== undefined && { retryable: meaning.retryable }) });
}

/** The error for a link or a file where a directory belongs. */
export function linkError(): StorageError {
  return errorOf(undefined, link);
}

function meaningOf(cause: unknown): Meaning | undefined {
  const code = codeOf(cause);
  if (code === 'ERR_INVALID_STATE') return { code: 'storage_unavailable', message: 'The storage is closed.', retryable: false };
  if (code?.startsWith('Unknown system error') === true) return failedDisk; // EUCLEAN, for instance: Node has no name for it
  if (code !== undefined && code !== 'ERR_SQLITE_ERROR') return byErrno[code];
  if (isFull(cause)) return diskFull;
  const result = sqliteCode(cause);
  return result === undefined ? undefined : bySqlite[result];
}

/** The symbolic errno (or Node's own code) of an error. Node has no name for EDQUOT, an exceeded quota. */
export function codeOf(error: unknown): string | undefined {
  const { code, errno } = (error ?? {}) as { readonly code?: unknown; readonly errno?: unknown };
  if (errno === -constants.errno.EDQUOT) return 'EDQUOT';
  return typeof code === 'string' ? code : undefined;
}

function sqliteCode(error: unknown): number | undefined {
  if (codeOf(error) !== 'ERR_SQLITE_ERROR') return undefined;
  const code = extendedCode(error);
  return code === undefined ? codeByText[(error as Error).message] : code & 0xff;
}

function extendedCode(error: unknown): number | undefined {
  const { errcode: code } = (error ?? {}) as { readonly errcode?: unknown };
  return typeof code === 'number' ? code : undefined;
}

/** Result codes by SQLite's message, since Deno provides no number. */
const codeByText: Readonly<Record<string, number>> = {
  'database is locked': sqlite.busy,
  'database table is locked': sqlite.locked,
  'out of memory': sqlite.nomem,
  'attempt to write a readonly database': sqlite.readonly,
  'disk I/O error': sqlite.ioerr,
  'database disk image is malformed': sqlite.corrupt,
  'database or disk is full': sqlite.full,
  'unable to open database file': sqlite.cantopen,
  'locking protocol': sqlite.protocol,
  'file is not a database': sqlite.notadb,
};

/** For where SQLite only reports that it gave up waiting for another process, as a checkpoint does. */
export function busyError(): Error {
  return Object.assign(new Error('database is locked'), { code: 'ERR_SQLITE_ERROR', errcode: sqlite.busy });
}

/** Whether SQLite gave up waiting for another process. */
export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === sqlite.busy || code === sqlite.locked;
}

/** Whether the disk has no room, for SQLite or for anything else. */
export function isFull(error: unknown): boolean {
  const isOfMemory = sqliteCode(error) === sqlite.ioerr && extendedCode(error) === sqliteIoerr.shmsize; // shared memory is a file, too
  return isOfMemory || sqliteCode(error) === sqlite.full || codeOf(error) === 'ENOSPC' || codeOf(error) === 'EDQUOT';
}

/**
 * Whether a write by SQLite failed. SQLite reports every cause but a full disk this way, an exceeded quota included. Without an
 * extended code it may have been another I/O error.
 */
export function isFailedWrite(error: unknown): boolean {
  return sqliteCode(error) === sqlite.ioerr && (extendedCode(error) ?? sqliteIoerr.write) === sqliteIoerr.write;
}

/** Says why the index cannot be opened, which SQLite does not: access is denied, or the file system lacks locks or shared memory. */
export async function toOpeningError(cause: unknown, path: string): Promise<StorageError> {
  if (unsuitableCodes.has(extendedCode(cause) ?? 0)) return errorOf(cause, unsuitable);
  const isRefusal = refusalCodes.has(sqliteCode(cause) ?? 0);
  return toStorageError((isRefusal && (await refusalOf(path))) || cause);
}

const unsuitableCodes: ReadonlySet<number> = new Set([sqliteIoerr.lock, sqliteIoerr.shmopen, sqliteIoerr.shmlock, sqliteIoerr.shmmap]);
const refusalCodes: ReadonlySet<number> = new Set([sqlite.perm, sqlite.readonly, sqlite.cantopen]);

async function refusalOf(path: string): Promise<unknown> {
  const { R_OK, W_OK, X_OK } = fileModes;
  try {
    await access(dirname(path), R_OK | W_OK | X_OK);
    for (const file of [path, `${path}-wal`, `${path}-shm`]) {
      await access(file, R_OK | W_OK).catch((error: unknown) => {
        if (codeOf(error) !== 'ENOENT') throw error;
      });
    }
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Awaits `work`; rejects only with StorageErrors. */
export async function translated<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw toStorageError(error);
  }
}
