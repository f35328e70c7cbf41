import { problemOf } from '../problem.ts';

/**
 * One line of `coffer storage check`. `lacks`: the provider cannot do it, or nothing is configured for it; Coffer works without it.
 * `unknown`: it was not tried out.
 */
export interface Check {
  readonly name: string;
  readonly status: 'ok' | 'failed' | 'lacks' | 'unknown';
  readonly message: string;
  /** An error code, if the check failed. */
  readonly code?: string;
}

export const notTriedMessage = 'not tried out: the credentials may not create a bucket for the test, or may not do this in it';

/** The check as failed with what an error says. */
export function failure(name: string, error: unknown): Check {
  const { code, message } = problemOf(error);
  return failed(name, code, message);
}

export function failed(name: string, code: string, message: string): Check {
  return { name, status: 'failed', message, code };
}
