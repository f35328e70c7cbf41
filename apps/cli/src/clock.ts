/** Milliseconds since some moment. `performance.now()` says the same, and takes 2 ms to load what else there is to measure. */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}
