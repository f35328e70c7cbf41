import { storageError } from './errors.ts';

/**
 * S3's storage classes.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
 */
export const storageClasses = [
  'STANDARD',
  'REDUCED_REDUNDANCY',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER',
  'GLACIER_IR',
  'DEEP_ARCHIVE',
  'OUTPOSTS',
  'SNOW',
  'EXPRESS_ONEZONE',
  'FSX_OPENZFS',
] as const;

/** The name of one of S3's storage classes. */
export type StorageClass = (typeof storageClasses)[number];

/** For backends that keep the class as a label. @throws InvalidArgumentError when `value` is not one of S3's classes */
export function assertStorageClass(value: string): asserts value is StorageClass {
  if (!(storageClasses as readonly string[]).includes(value)) {
    throw storageError('invalid_argument', `Unknown storage class "${value}"; use one of ${storageClasses.join(', ')}.`);
  }
}
