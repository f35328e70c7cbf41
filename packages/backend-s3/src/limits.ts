/* Of S3. @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
const mib = 2 ** 20;
const gib = 2 ** 30;

/** Of every part but the last one. */
export const smallestPart: number = 5 * mib;
export const mostParts = 10_000;
/** Bytes that one request can write or copy; forms as well. */
export const largestPut: number = 5 * gib;
export const largestObject: number = 5 * 2 ** 40;

/** Whole MiB, at least `usual`, so that an object fits into the parts that there may be. */
export function partSizeFor(size: number, usual: number): number {
  return Math.max(usual, Math.ceil(size / mostParts / mib) * mib);
}
