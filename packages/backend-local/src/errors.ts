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
  EFBIG: { code: 'storage_unavailable', message: 'The object is larger than the file system allows a file to be.', retryable: false },
  EMFILE: { code: 'storage_unavailable', message: 'This process has too many files open.' },
  ENFILE: { code: 'storage_unavailable', message: 'The machine has too many files open.' },
  ENOENT: { code: 'storage_unavailable', message: 'A file or directory of the storage is missing.', retryable: false },
};

/** By SQLite's primary result code. @see https://www.sqlite.org/rescode.html */
const bySqlite: Readonly<Record<number, Meaning>> = {
  3: denied, // SQLITE_PERM
  5: { code: 'storage_unavailable', message: 'The index is locked by another process.' }, // SQLITE_BUSY
  6: { code: 'storage_unavailable', message: 'The index is locked by another process.' }, // SQLITE_LOCKED
  8: readOnly, // SQLITE_READONLY
  10: failedDisk, // SQLITE_IOERR
  11: { code: 'internal_error', message: 'The index is damaged.' }, // SQLITE_CORRUPT
  13: diskFull, // SQLITE_FULL
  14: { code: 'storage_unavailable', message: 'The index cannot be opened.', retryable: false }, // SQLITE_CANTOPEN
  23: denied, // SQLITE_AUTH
  26: { code: 'internal_error', message: 'The index is not a SQLite database.' }, // SQLITE_NOTADB
};

/** The only place that knows what errno and SQLite result codes mean. */
export function toStorageError(cause: unknown): StorageError {
  if (isStorageError(cause)) return cause;
  return errorOf(cause, meaningOf(cause) ?? { code: 'internal_error', message: 'The local storage failed.' });
}

function errorOf(cause: unknown, meaning: Meaning): StorageError {
  return storageError(meaning.code, meaning.message, { cause, ...(meaning.retryable !== undefined && { retryable: meaning.retryable }) });
}

function meaningOf(cause: unknown): Meaning | undefined {
  const code = codeOf(cause);
  if (code === 'ERR_INVALID_STATE') return { code: 'storage_unavailable', message: 'The storage is closed.', retryable: false };
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
  'database is locked': 5,
  'database table is locked': 6,
  'attempt to write a readonly database': 8,
  'disk I/O error': 10,
  'database disk image is malformed': 11,
  'database or disk is full': 13,
  'unable to open database file': 14,
  'file is not a database': 26,
};

/** Whether SQLite gave up waiting for another process. */
export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === 5 || code === 6;
}

/** Whether the disk has no room, for SQLite or for anything else. */
export function isFull(error: unknown): boolean {
  const isOfMemory = sqliteCode(error) === 10 && extendedCode(error) === 4874; // SQLITE_IOERR_SHMSIZE: shared memory is a file, too
  return isOfMemory || sqliteCode(error) === 13 || codeOf(error) === 'ENOSPC' || codeOf(error) === 'EDQUOT';
}

/**
 * Whether a write by SQLite failed. SQLite reports every cause but a full disk this way, an exceeded quota included. Without an
 * extended code it may have been another I/O error.
 */
export function isFailedWrite(error: unknown): boolean {
  return sqliteCode(error) === 10 && (extendedCode(error) ?? 778) === 778; // SQLITE_IOERR_WRITE
}

/** Says why the index cannot be opened, which SQLite does not: access is denied, or the file system lacks locks or shared memory. */
export async function toOpeningError(cause: unknown, path: string): Promise<StorageError> {
  if (unsuitableCodes.has(extendedCode(cause) ?? 0)) return errorOf(cause, unsuitable);
  const isRefusal = [3, 8, 14].includes(sqliteCode(cause) ?? 0); // SQLITE_PERM, SQLITE_READONLY, SQLITE_CANTOPEN
  return toStorageError((isRefusal && (await refusalOf(path))) || cause);
}

// SQLITE_IOERR_LOCK, _SHMOPEN, _SHMLOCK, _SHMMAP
const unsuitableCodes: ReadonlySet<number> = new Set([15, 18, 20, 21].map((detail) => 10 | (detail << 8)));

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
