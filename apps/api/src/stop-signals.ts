/** What the process was asked to stop by. */
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

// As soon as this is loaded, which is before all else: until somebody listens, the first process of a container takes no notice.
process.on('SIGINT', onSignal);
process.on('SIGTERM', onSignal);
// What a terminal sends that is closed.
process.on('SIGHUP', onSignal);

/** Aborted, with a `StopAsked`, by the first SIGINT, SIGTERM or SIGHUP. */
export const stopAsked: AbortSignal = asking.signal;

/** What those do that come after the first one. */
export function hastenBy(work: () => void): void {
  hasten = work;
}
