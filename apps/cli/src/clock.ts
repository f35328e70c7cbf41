/** Milliseconds since some moment. `performance.now()` says the same, and loads what else Node can measure: a millisecond or two. */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}
