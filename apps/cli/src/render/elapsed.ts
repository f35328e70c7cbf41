import { monotonicMs } from '../clock.ts';
import type { Output } from '../output.ts';
import { printable } from './printable.ts';
import { durationText } from './units.ts';

const everyMs = 1000;

/**
 * For work that tells nothing while it goes on: what it is and how long it has taken, in a line on stderr, where that is a terminal.
 * @returns how to take it away
 */
export function showElapsed(output: Output, what: string): () => void {
  if (!output.hasStatus) return () => {};
  const since = monotonicMs();
  const draw = (): void => output.status(`${printable(what)}  ${durationText(Math.round((monotonicMs() - since) / 1000))}`);
  const timer = setInterval(draw, everyMs).unref();
  return () => {
    clearInterval(timer);
    output.status(undefined);
  };
}
