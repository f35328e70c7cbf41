import type { Output } from './output.ts';

/** What an invocation has besides its arguments. oclif constructs the commands, so it cannot be passed to them. */
export interface Invocation {
  readonly output: Output;
  /** Aborted with an `Interrupted` when the process is asked to end. */
  readonly signal: AbortSignal;
}

let current: Invocation | undefined;

export function shareInvocation(invocation: Invocation): void {
  current = invocation;
}

/** @throws Error before `shareInvocation` */
export function sharedInvocation(): Invocation {
  if (current === undefined) throw new Error('There is no invocation.');
  return current;
}
