/** Which signal asked the process to stop. */
export class StopRequested extends Error {
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`asked to stop by ${signal}`);
    this.name = 'StopRequested';
    this.signal = signal;
  }
}

const controller = new AbortController();
let forceStop = (): void => process.exit(1);

function onSignal(signal: NodeJS.Signals): void {
  if (controller.signal.aborted) forceStop();
  else controller.abort(new StopRequested(signal));
}

// Registered on load, before everything else: until it has a listener, PID 1 of a container ignores the signal.
process.on('SIGINT', onSignal);
process.on('SIGTERM', onSignal);
// Sent when a terminal is closed.
process.on('SIGHUP', onSignal);

/** Aborted, with a `StopRequested`, by the first SIGINT, SIGTERM or SIGHUP. */
export const stopSignal: AbortSignal = controller.signal;

/** Sets what the signals after the first one do; by default they exit with status 1. */
export function setForceStop(work: () => void): void {
  forceStop = work;
}
