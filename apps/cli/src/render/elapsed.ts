import { monotonicMs } from '../clock.ts';
import type { Output } from '../output.ts';
import { printable } from './printable.ts';
import { durationText } from './units.ts';

const redrawMs = 1000;

/**
 * For work that reports no progress: shows what it is and how long it has taken, in a line on stderr, if that is a terminal.
 * @returns a function that erases the line
 */
export function showElapsed(output: Output, what: string): () => void {
  if (!output.hasStatus) return () => {};
  const since = monotonicMs();
  const draw = (): void => output.status(`${printable(what)}  ${durationText(Math.round((monotonicMs() - since) / 1000))}`);
  const timer = setInterval(draw, redrawMs).unref();
  return () => {
    clearInterval(timer);
    output.status(undefined);
  };
}
