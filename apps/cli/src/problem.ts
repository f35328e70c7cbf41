import { constants } from 'node:os';
import { stripVTControlCharacters } from 'node:util';

import { isStorageError } from '@coffer/storage-core';

/** An error as it is printed: `code: message` on stderr, an object in JSON. */
export interface Problem {
  readonly code: string;
  readonly message: string;
}

/** The command line makes no sense. Nothing has been done. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Something went wrong between the command line and the local disk. `code` is one of those in docs/cli.md. */
export class LocalError extends Error {
  override readonly name = 'LocalError';
  readonly code: string;
  /** Whether another attempt may succeed. */
  readonly retryable: boolean;

  constructor(code: string, message: string, options: { readonly cause?: unknown; readonly retryable?: boolean } = {}) {
    super(message, options);
    this.code = code;
    this.retryable = options.retryable === true;
  }
}

/** The process was asked to end. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  /** By the convention of shells: 128 plus the number of the signal. */
  readonly exitCode: number;

  constructor(signal: string, exitCode: number) {
    super(`Stopped by ${signal}.`);
    this.exitCode = exitCode;
  }
}

/** An error that the JSON on stdout has already reported. */
export class ReportedError extends Error {
  override readonly name = 'ReportedError';

  constructor(cause: unknown) {
    super('', { cause });
  }
}

/** File system errors that a user can do something about, by their code in Node. */
const local: Readonly<Record<string, readonly [code: string, message: string]>> = {
  EACCES: ['permission_denied', 'Permission denied.'],
  EPERM: ['permission_denied', 'Operation not permitted.'],
  EROFS: ['permission_denied', 'The file system is read-only.'],
  ENOENT: ['no_such_file', 'No such file or directory.'],
  ENOTDIR: ['not_a_directory', 'A part of the path is a file, not a directory.'],
  EISDIR: ['is_a_directory', 'Is a directory.'],
  EEXIST: ['already_exists', 'Already exists.'],
  ENOTEMPTY: ['is_a_directory', 'Is a directory.'],
  ELOOP: ['symlink_loop', 'Too many symbolic links, or they form a loop.'],
  ENAMETOOLONG: ['unsafe_path', 'The name is too long for this file system.'],
  EILSEQ: ['unsafe_path', 'This file system cannot hold the name.'],
  EINVAL: ['unsafe_path', 'This file system cannot hold the name.'],
  ENOSPC: ['disk_full', 'The disk is full.'],
  EDQUOT: ['disk_full', 'The disk quota is used up.'],
  EFBIG: ['disk_full', 'The file would be larger than the file system, or the limit on the size of files (ulimit -f), allows.'],
  EMFILE: ['local_io', 'Too many open files. Use a lower --concurrency or a higher limit (ulimit -n).'],
  ENFILE: ['local_io', 'The system has too many open files.'],
};

export function problemOf(error: unknown): Problem {
  if (isStorageError(error) || error instanceof LocalError) return { code: error.code, message: error.message };
  if (error instanceof UsageError) return { code: 'usage', message: error.message };
  if (error instanceof Interrupted) return { code: 'interrupted', message: error.message };
  if (!(error instanceof Error)) return { code: 'internal_error', message: String(error) };
  // Recognized by name: only commands load the module that has these classes.
  if (error.name === 'ConfigError') return { code: 'configuration', message: error.message };
  if (error.name === 'StartupError') return { code: 'storage_unavailable', message: error.message };
  if (isOfFileSystem(error)) {
    const { code, errno, syscall } = error;
    if (syscall === 'uv_cwd' && code === 'ENOENT') return { code: 'no_such_file', message: 'The current directory no longer exists.' };
    const cause = errno === -constants.errno.EDQUOT ? 'EDQUOT' : code; // Node has no name for EDQUOT
    const [name, message] = local[cause] ?? ['local_io', `The file system answered ${syscall} with ${code}.`];
    return { code: name, message };
  }
  // oclif's own errors are about flags and arguments. In a terminal they are coloured; they span several lines, the last of which
  // points to --help.
  if ('oclif' in error) {
    const lines = stripVTControlCharacters(error.message).replace(/\s*(?:Note: --|See more help with --help)[^]*$/, '');
    return { code: 'usage', message: inOneLine(lines) };
  }
  return { code: 'internal_error', message: error.message };
}

/** What oclif says of flags and arguments, where a name is a row of a table or follows "Parsing". */
function inOneLine(lines: string): string {
  const [heading = '', ...missing] = lines.split('\n');
  if (/^Missing \d+ required args?/.test(heading))
    return missing.map((row) => row.trim().replace(/^(\w+)\s+/, (_, name: string) => `Missing ${name.toUpperCase()}: `)).join(' ');
  const message = lines.replaceAll(/\s+/g, ' ').replace(/^The following errors? occurred: /, '');
  return message.replace(/^Parsing (--\S+)/, '$1:').replaceAll(/(?<=\brequired flag )(?=\w)/g, '--');
}

/** Whether an error comes from a system call. */
export function isOfFileSystem(error: unknown): error is NodeJS.ErrnoException & { readonly code: string; readonly syscall: string } {
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  return error instanceof Error && !isStorageError(error) && typeof code === 'string' && typeof syscall === 'string';
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof ReportedError) return exitCodeOf(error.cause);
  if (error instanceof Interrupted) return error.exitCode;
  return ['usage', 'configuration'].includes(problemOf(error).code) ? 2 : 1;
}
