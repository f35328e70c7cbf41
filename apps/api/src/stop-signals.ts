/** Which signal asked the process to stop. */
export class StopAsked extends Error {
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`asked to stop by ${signal}`);
    this.name = 'StopAsked';
    this.signal = signal;
  }
}

const asking = new AbortController();
let hasten = (): void => process.exit(1);

function onSignal(signal: NodeJS.Signals): void {
  if (asking.signal.aborted) hasten();
  else asking.abort(new StopAsked(signal));
}

// Registered on load, before everything else: until it has a listener, PID 1 of a container ignores the signal.
process.on('SIGINT', onSignal);
process.on('SIGTERM', onSignal);
// Sent when a terminal is closed.
process.on('SIGHUP', onSignal);

/** Aborted, with a `StopAsked`, by the first SIGINT, SIGTERM or SIGHUP. */
export const stopAsked: AbortSignal = asking.signal;

/** Sets what the signals after the first one do; by default they exit with status 1. */
export function hastenBy(work: () => void): void {
  hasten = work;
}
