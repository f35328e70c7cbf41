import { constants } from 'node:os';
import { stripVTControlCharacters } from 'node:util';

import { isStorageError } from '@coffer/storage-core';

/** What went wrong, as it is printed: on stderr `code: message`, in JSON an object. */
export interface Problem {
  readonly code: string;
  readonly message: string;
}

/** The command was called in a way that has no meaning. Nothing has been done. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Something between the command line and the local disk went wrong. `code` is one of those of docs/cli.md. */
export class LocalError extends Error {
  override readonly name = 'LocalError';
  readonly code: string;
  /** Whether the same may go well the next time. */
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
  /** As shells count: 128 and the number of the signal. */
  readonly exitCode: number;

  constructor(signal: string, exitCode: number) {
    super(`Stopped by ${signal}.`);
    this.exitCode = exitCode;
  }
}

/** An error that JSON on stdout has told of already. */
export class ToldError extends Error {
  override readonly name = 'ToldError';

  constructor(cause: unknown) {
    super('', { cause });
  }
}

/** Errors of the file system that a user can do something about, by their code in Node. */
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
  EFBIG: ['disk_full', 'The file would be too large for this file system.'],
  EMFILE: ['local_io', 'Too many open files. Use a lower --concurrency or a higher limit (ulimit -n).'],
  ENFILE: ['local_io', 'The system has too many open files.'],
};

export function problemOf(error: unknown): Problem {
  if (isStorageError(error) || error instanceof LocalError) return { code: error.code, message: error.message };
  if (error instanceof UsageError) return { code: 'usage', message: error.message };
  if (error instanceof Interrupted) return { code: 'interrupted', message: error.message };
  if (!(error instanceof Error)) return { code: 'internal_error', message: String(error) };
  // Known by their names: the module that has these classes is loaded by the commands alone.
  if (error.name === 'ConfigError') return { code: 'configuration', message: error.message };
  if (error.name === 'StartupError') return { code: 'storage_unavailable', message: error.message };
  if (isOfFileSystem(error)) {
    const { code, errno, syscall } = error;
    if (syscall === 'uv_cwd' && code === 'ENOENT') return { code: 'no_such_file', message: 'The current directory no longer exists.' };
    const cause = errno === -constants.errno.EDQUOT ? 'EDQUOT' : code; // for which Node has no name
    const [name, message] = local[cause] ?? ['local_io', `The file system answered ${syscall} with ${code}.`];
    return { code: name, message };
  }
  // oclif's own are about flags and arguments, coloured in a terminal, over several lines of which the last one tells of --help.
  if ('oclif' in error) {
    const lines = stripVTControlCharacters(error.message).replace(/\s*(?:Note: --|See more help with --help)[^]*$/, '');
    const message = lines.replaceAll(/\s+/g, ' ').replace(/^The following errors? occurred: /, '');
    return { code: 'usage', message: message.replaceAll(/(?<=\brequired flag )(?=\w)/g, '--') };
  }
  return { code: 'internal_error', message: error.message };
}

/** Whether the system refuses something, by an errno. */
export function isOfFileSystem(error: unknown): error is NodeJS.ErrnoException & { readonly code: string; readonly syscall: string } {
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  return error instanceof Error && !isStorageError(error) && typeof code === 'string' && typeof syscall === 'string';
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof ToldError) return exitCodeOf(error.cause);
  if (error instanceof Interrupted) return error.exitCode;
  return ['usage', 'configuration'].includes(problemOf(error).code) ? 2 : 1;
}
