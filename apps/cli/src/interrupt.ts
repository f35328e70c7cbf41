import { Interrupted } from './problem.ts';

const signals = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** A provider does what it has been asked for, whether or not somebody waits for the answer. */
const graceMs = 2000;

/**
 * Aborts with an `Interrupted` on the first signal to end, so that what is under way can be cleaned up; a second one ends
 * the process as it is.
 */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  for (const [name, exitCode] of Object.entries(signals)) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(exitCode);
      controller.abort(new Interrupted(name, exitCode));
    });
  }
  return controller.signal;
}

/** Aborts a moment after `signal`: what is about to be done then is done, and can be told of. */
export function momentAfter(signal: AbortSignal): AbortSignal {
  const controller = new AbortController();
  signal.addEventListener('abort', () => setTimeout(() => controller.abort(signal.reason), graceMs), { once: true });
  return controller.signal;
}
