import { isStorageError, storageError } from '@coffer/storage-core';
import type { StorageError } from '@coffer/storage-core';

// Of Node's sockets and of postgres.js: there is no connection, or there is none any more.
const connectionCodes: ReadonlySet<string> = new Set([
  'CONNECT_TIMEOUT',
  'CONNECTION_CLOSED',
  'CONNECTION_DESTROYED',
  'CONNECTION_ENDED',
  'EACCES',
  'EADDRNOTAVAIL',
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'EMFILE',
  'ENETDOWN',
  'ENETUNREACH',
  'ENFILE',
  'ENOENT',
  'ENOTFOUND',
  'EPERM',
  'EPIPE',
  'EPROTO',
  'ETIMEDOUT',
  'TARGET_SESSION_ATTRS',
]);

// Of Node's TLS: what the server shows is not, or no longer, what this process takes for it.
const untrusted = /CERT|UNABLE_TO_VERIFY|^ERR_TLS/;

// Two transactions in each other's way, of which one was ended.
const conflicts = /^40(?:001|P01)$/;

// Prepared for tables as they were before a migration: nothing was done, and it is prepared anew the next time.
const stale = (error: unknown): boolean =>
  codeOf(error) === '0A000' && (error as { readonly routine?: unknown }).routine === 'RevalidateCachedQuery';

// By its statement_timeout and lock_timeout, and those of a transaction.
const gaveUp = /^(?:57014|55P03|25P0[34])$/;

/**
 * The only place that knows error codes of PostgreSQL. Errors that mean a mistake of ours come back as they are, without
 * drizzle's wrapper, whose message quotes every parameter.
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function databaseError(error: unknown): unknown {
  if (isStorageError(error)) return error;
  const cause = queryCause(error);
  const code = codeOf(cause);
  if (code === undefined) return cause;
  if (connectionCodes.has(code)) return unavailable('The database cannot be reached.', cause);
  if (code === 'TLS_REFUSED')
    return unavailable('The URL of the database asks for TLS, but the server does not accept TLS connections.', cause, false);
  if (code.startsWith('ERR_SSL')) return unavailable('No TLS connection to the database could be made.', cause); // of OpenSSL: the two do not agree
  if (untrusted.test(code)) return unavailable('The certificate of the database is not trusted.', cause, false);
  // 55000: it takes no connections. 58: its system fails it, such as a disk.
  if (/^(?:08|53|57P0|55000|58)/.test(code)) return unavailable('The database does not accept statements at the moment.', cause);
  if (code === '25006') return unavailable('The database is read-only at the moment.', cause);
  if (gaveUp.test(code)) return unavailable('The database cancelled the statement because it exceeded a timeout of the database.', cause);
  if (conflicts.test(code)) return unavailable('The database was busy with the same rows; try again.', cause);
  if (stale(cause)) return unavailable('The tables were changed under the statement; try again.', cause);
  if (code === '26000') {
    const message = 'The database does not know a prepared statement; behind a pooler, its URL needs prepare=false.';
    return unavailable(message, cause, false);
  }
  if (code.startsWith('28') || code.startsWith('SASL')) return unavailable('The database refuses the user or its password.', cause, false);
  if (code === '3D000') return unavailable('The database named in the connection does not exist.', cause, false);
  if (code === '42P01') return unavailable('The tables are missing from the database; run its migrations.', cause, false);
  if (code === '3F000')
    return unavailable('The search_path of the database user names no existing schema that the user may use.', cause, false);
  if (code === '42P07') {
    const message =
      'The schema has a table that is not from Coffer under a name that Coffer needs; name another schema in the search_path.';
    return unavailable(message, cause, false); // of a migration: nothing else makes tables
  }
  if (code === '42501') return unavailable('The database user lacks a privilege.', cause, false);
  // A character or a nesting that text or jsonb cannot hold.
  if (/^(?:22021|22P05|54001)$/.test(code))
    return storageError('validation_failed', 'A value contains something that the database cannot store.', { cause });
  // The only numbers that can grow too large are those of a tenant without a quota.
  if (code === '22003') return storageError('quota_exceeded', 'The total would be more than can be counted for one tenant.', { cause });
  return cause;
}

/** Runs something on the database, with its errors translated. */
export async function onDatabase<T>(run: () => PromiseLike<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw databaseError(error);
  }
}

/** Whether a statement was undone for another one that was in its way, be it one that changed the tables. */
export function isConflict(error: unknown): boolean {
  return isStorageError(error) && (conflicts.test(codeOf(error.cause) ?? '') || stale(error.cause));
}

// Of connections that were there. What fails with another code has not reached the server, or has failed in it.
const lostCodes: ReadonlySet<string> = new Set(['CONNECTION_CLOSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT']);

/** Whether the statement that failed may have been done all the same: the connection ended while it ran. */
export function mayBeDone(error: unknown): boolean {
  return isStorageError(error) && lostCodes.has(codeOf(error.cause) ?? '');
}

/** Whether a statement failed for the table it names not being there. */
export function isMissingTable(error: unknown): boolean {
  return codeOf(queryCause(error)) === '42P01';
}

/** Whether a row was not deleted because a foreign key refers to it; PostgreSQL 18 tells `restrict` from `no action`. */
export function isReferredTo(error: unknown): boolean {
  return /^23(?:503|001)$/.test(codeOf(queryCause(error)) ?? '');
}

function unavailable(message: string, cause: unknown, retryable = true): StorageError {
  return storageError('storage_unavailable', message, retryable ? { cause, retryAfter: 1 } : { cause, retryable });
}

function queryCause(error: unknown): unknown {
  return error instanceof Error && 'query' in error && 'params' in error && error.cause !== undefined ? error.cause : error;
}

function codeOf(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  if (typeof code === 'string') return code;
  // All addresses of a host name that has several failed.
  return error instanceof AggregateError ? codeOf(error.errors[0]) : undefined;
}
