/** Milliseconds since the start. Whoever ends earlier holds little. */
const early = 250;

/**
 * Collects garbage as the last thing before the process ends. Node ends when V8's threads are done with what they are at, which
 * never happens to one that compiles and finds no room for the code (nodejs/node#54918): it waits for a collection by this
 * thread, which already waits for it. After one there is room.
 */
export function collectAtExit(): void {
  process.once('exit', () => {
    if (performance.now() < early) return;
    process.getBuiltinModule('node:v8').setFlagsFromString('--expose-gc');
    process.getBuiltinModule('node:vm').runInNewContext('globalThis.gc?.()');
  });
}
