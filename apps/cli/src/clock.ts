/** Milliseconds since some moment, like `performance.now()`, which loads Node's other measuring code and so takes a millisecond or two. */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}
