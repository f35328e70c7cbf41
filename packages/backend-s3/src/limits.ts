/* Limits of S3. @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
const mib = 2 ** 20;
const gib = 2 ** 30;

/** Bytes; for every part but the last one. */
export const smallestPart: number = 5 * mib;
export const maxParts = 10_000;
/** As many as every server takes: Scaleway no more than these. */
export const fewestMaxParts = 1000;
/** Bytes that one request can write or copy. Forms have the same limit. */
export const largestPut: number = 5 * gib;
/** As many parts as there may be, each as large as it may be. Some servers still have an earlier limit of AWS, 5 TiB. */
export const largestObject: number = maxParts * largestPut;
