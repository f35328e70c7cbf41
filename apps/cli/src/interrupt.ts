import { Interrupted } from './problem.ts';

const signals = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** A provider does what it was asked to, whether or not anybody waits for the answer. */
const graceMs = 2000;

/**
 * Aborts with an `Interrupted` on the first SIGINT, SIGTERM or SIGHUP, so that work under way can be cleaned up; a second signal ends
 * the process at once.
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

/** Aborts two seconds after `signal`, so that requests under way can finish and be reported. */
export function delayedAbort(signal: AbortSignal): AbortSignal {
  const controller = new AbortController();
  signal.addEventListener('abort', () => setTimeout(() => controller.abort(signal.reason), graceMs), { once: true });
  return controller.signal;
}
