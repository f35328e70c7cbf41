import { storageError } from './errors.ts';

const reservedPrefixes = ['xn--', 'sthree-'];
const reservedSuffixes = ['-s3alias', '--ol-s3'];

/**
 * Why `name` cannot be a bucket name, or undefined if it can: S3's rules, without dots.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
 */
export function bucketNameProblem(name: string): string | undefined {
  if (typeof name !== 'string') return 'A bucket name must be a string.'; // plain JavaScript callers have no compiler
  if (name.length < 3 || name.length > 63) return 'A bucket name must have 3 to 63 characters.';
  if (!/^[a-z0-9-]+$/.test(name)) return 'A bucket name must contain only lower-case letters, digits and "-".';
  if (name.startsWith('-') || name.endsWith('-')) return 'A bucket name must start and end with a letter or digit.';
  if (/^\d{1,3}(?:-\d{1,3}){3}$/.test(name)) return 'A bucket name must not look like an IP address.';
  const prefix = reservedPrefixes.find((start) => name.startsWith(start));
  if (prefix !== undefined) return `A bucket name must not start with "${prefix}".`;
  const suffix = reservedSuffixes.find((end) => name.endsWith(end));
  if (suffix !== undefined) return `A bucket name must not end with "${suffix}".`;
  return undefined;
}

/** @throws InvalidBucketNameError with the rule that `name` breaks. */
export function assertBucketName(name: string): void {
  const problem = bucketNameProblem(name);
  if (problem !== undefined) throw storageError('invalid_bucket_name', problem);
}
