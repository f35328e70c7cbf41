import { isStorageError, storageError } from '@coffer/storage-core';
import type { StorageError } from '@coffer/storage-core';

// Codes of postgres.js, and of Node where the system did not fail: a connection could not be made, or was lost.
const connectionCodes: ReadonlySet<string> = new Set([
  'CONNECT_TIMEOUT',
  'CONNECTION_CLOSED',
  'CONNECTION_DESTROYED',
  'CONNECTION_ENDED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'TARGET_SESSION_ATTRS',
]);

// Codes of Node's TLS: this process does not, or no longer, accept the server's certificate.
const certificateCodes = /CERT|UNABLE_TO_VERIFY|^ERR_TLS/;

// Two transactions conflicted, and PostgreSQL ended one of them.
const conflictCodes = /^40(?:001|P01)$/;

// The statement was prepared before a migration changed its tables. It did nothing, and is prepared again the next time.
const isStalePlan = (error: unknown): boolean =>
  codeOf(error) === '0A000' && (error as { readonly routine?: unknown }).routine === 'RevalidateCachedQuery';

// Cancelled by statement_timeout, lock_timeout or a timeout of the transaction.
const timeoutCodes = /^(?:57014|55P03|25P0[34])$/;

/**
 * The only place that knows PostgreSQL's error codes. Errors that mean a bug in Coffer come back as they are, without drizzle's wrapper,
 * whose message quotes every parameter.
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function databaseError(error: unknown): unknown {
  if (isStorageError(error)) return error;
  const cause = queryCause(error);
  const code = codeOf(cause);
  if (code === undefined) return cause;
  // A timeout of the transaction ends its connection as well.
  if (timeoutCodes.test(code) || isEndedByTimeout(cause))
    return unavailable('A timeout of the database ended the statement or its transaction.', cause);
  if (connectionCodes.has(code) || isSystemError(cause)) return unavailable('The database cannot be reached.', cause);
  if (code === 'TLS_REFUSED')
    return unavailable('The URL of the database asks for TLS, but the server does not accept TLS connections.', cause, false);
  // From OpenSSL: client and server cannot agree.
  if (code.startsWith('ERR_SSL')) return unavailable('No TLS connection to the database could be made.', cause);
  if (certificateCodes.test(code)) return unavailable('The certificate of the database is not trusted.', cause, false);
  // 55000: the database accepts no connections. Class 58: a system error, such as a failing disk.
  if (/^(?:08|53|57P0|55000|58)/.test(code)) return unavailable('The database does not accept statements at the moment.', cause);
  if (isReadOnly(cause)) return unavailable('The database is read-only at the moment.', cause);
  if (conflictCodes.test(code)) return unavailable('The database was busy with the same rows; try again.', cause);
  if (isStalePlan(cause)) return unavailable('The tables were changed under the statement; try again.', cause);
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
    return unavailable(message, cause, false); // only migrations create tables
  }
  if (code === '42501') return unavailable('The database user lacks a privilege.', cause, false);
  // A character or a depth of nesting that text or jsonb cannot hold.
  if (/^(?:22021|22P05|54001)$/.test(code))
    return storageError('validation_failed', 'A value contains something that the database cannot store.', { cause });
  // Only the totals of a tenant without a quota can grow too large.
  if (code === '22003') return storageError('quota_exceeded', 'The total would be more than can be counted for one tenant.', { cause });
  return cause;
}

/** Runs something on the database and translates its errors; those that mean a bug are thrown as they are. */
export async function onDatabase<T>(run: () => PromiseLike<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw databaseError(error);
  }
}

/** Whether a statement was undone because another one conflicted with it, or changed its tables. */
export function isConflict(error: unknown): boolean {
  return isStorageError(error) && (conflictCodes.test(codeOf(error.cause) ?? '') || isStalePlan(error.cause));
}

// Codes for established connections. With any other code, the statement did not reach the server, or failed there.
const lostCodes: ReadonlySet<string> = new Set(['CONNECTION_CLOSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT']);

/** Whether a failed statement may have taken effect all the same: the connection ended while it ran. */
export function mayHaveCommitted(error: unknown): boolean {
  if (!isStorageError(error)) return false;
  const { syscall = '' } = (error.cause ?? {}) as NodeJS.ErrnoException;
  return lostCodes.has(codeOf(error.cause) ?? '') || syscall === 'read' || syscall === 'write';
}

/** Whether a statement failed because its connection accepts no writes. */
export function isReadOnly(error: unknown): boolean {
  return codeOf(queryCause(error)) === '25006';
}

/** Whether a statement failed because the table it names does not exist. */
export function isMissingTable(error: unknown): boolean {
  return codeOf(queryCause(error)) === '42P01';
}

/** Whether a statement failed because a key exists. */
export function isUniqueViolation(error: unknown): boolean {
  return codeOf(queryCause(error)) === '23505';
}

/** Whether a foreign key kept a row from being deleted. PostgreSQL 18 has different codes for `restrict` and `no action`. */
export function isForeignKeyViolation(error: unknown): boolean {
  return /^23(?:503|001)$/.test(codeOf(queryCause(error)) ?? '');
}

/** Whether the system refused to make or to use a connection, which it may in many ways: EINVAL, ENOPROTOOPT and ENOMEM are three of them. */
function isSystemError(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).syscall !== undefined || error instanceof AggregateError;
}

/** Whether the connection was closed, for that reason. */
function isEndedByTimeout(error: unknown): boolean {
  return error instanceof Error && timeoutCodes.test(codeOf(error.cause) ?? '');
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
  // The host name has several addresses, and all of them failed.
  return error instanceof AggregateError ? codeOf(error.errors[0]) : undefined;
}
