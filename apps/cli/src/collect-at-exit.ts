/** Milliseconds since the start, and bytes of buffers. Whoever ends earlier and has not moved as much is in no danger. */
const early = 250;
const much = 8 * 2 ** 20;

/**
 * Collects garbage as the last thing before the process ends. Node ends when V8's threads are done with what they are at, which
 * never happens to one that compiles and finds no room for the code (nodejs/node#54918): it waits for a collection by this
 * thread, which already waits for it. After one there is room. Buffers take of that room, too: a download of 70 MB from the
 * local disk is over early, and had it used up.
 */
export function collectAtExit(): void {
  process.once('exit', () => {
    if (performance.now() < early && external() < much) return;
    process.getBuiltinModule('node:v8').setFlagsFromString('--expose-gc');
    process.getBuiltinModule('node:vm').runInNewContext('globalThis.gc?.()');
  });
}

/** Asking takes a file, which there may be none for: then rather too much. */
function external(): number {
  try {
    return process.memoryUsage().external;
  } catch {
    return Infinity;
  }
}
