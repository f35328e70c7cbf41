/* Limits of S3. @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
const mib = 2 ** 20;
const gib = 2 ** 30;

/** Bytes; for every part but the last one. */
export const smallestPart: number = 5 * mib;
export const maxParts = 10_000;
/** Bytes that one request can write or copy. Forms have the same limit. */
export const largestPut: number = 5 * gib;
export const largestObject: number = 5 * 2 ** 40;

/** Bytes: whole MiB, or `usual` if that is enough, so that the object fits into `maxParts` parts. */
export function partSizeFor(size: number, usual: number): number {
  return Math.max(usual, Math.ceil(size / maxParts / mib) * mib);
}
