import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Milliseconds since the start, and bytes of buffers. A process that ends earlier and has used less is not at risk. */
const safeMs = 250;
const safeBytes = 8 * 2 ** 20;

/**
 * Collects garbage as the last step before the process ends. Node waits at exit for V8's threads. A thread that is compiling and
 * finds no room for the code never finishes (nodejs/node#54918): it waits for a collection by this thread, which is already waiting
 * for it. After a collection there is room. Buffers take up that room, too: a download of 70 MB from the local disk ends early, and
 * had used it up.
 */
export function collectGarbageAtExit(): void {
  process.once('exit', () => {
    if (performance.now() < safeMs && externalBytes() < safeBytes) return;
    setFlagsFromString('--expose-gc');
    runInNewContext('globalThis.gc?.()');
  });
}

/** Asking opens a file, which may fail: then assume the worst. */
function externalBytes(): number {
  try {
    return process.memoryUsage().external;
  } catch {
    return Infinity;
  }
}
