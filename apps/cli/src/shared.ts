import type { Output } from './output.ts';

/** What an invocation has beside the arguments of its command. oclif makes the commands, so it cannot be handed to them. */
export interface Invocation {
  readonly output: Output;
  /** Aborted with an `Interrupted` when the process is asked to end. */
  readonly signal: AbortSignal;
}

let current: Invocation | undefined;

export function shareInvocation(invocation: Invocation): void {
  current = invocation;
}

/** @throws before `shareInvocation` */
export function sharedInvocation(): Invocation {
  if (current === undefined) throw new Error('There is no invocation.');
  return current;
}
