import { isStorageError } from '@coffer/storage-core';

/** What the provider, the SDK or the network failed with. */
export interface ProviderError {
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly isDoubtful?: boolean };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>>; body?: unknown };
}

/** The name that S3 gives an error: many servers send no more. */
export function nameOf(error: unknown): string {
  const { name, Code } = (error ?? {}) as { readonly name?: unknown; readonly Code?: unknown };
  return typeof Code === 'string' ? Code : typeof name === 'string' ? name : '';
}

/** As `nameOf`, of what a StorageError was made from. */
export function causeName(error: unknown): string {
  return nameOf(isStorageError(error) ? error.cause : error);
}

export function statusOf(error: unknown): number | undefined {
  return (error as ProviderError | undefined)?.$metadata?.httpStatusCode;
}

/** The bucket that the provider says it is about; empty where it does not say. */
export function causeBucket(error: unknown): string {
  const { BucketName: bucket } = ((isStorageError(error) ? error.cause : undefined) ?? {}) as { readonly BucketName?: unknown };
  return typeof bucket === 'string' ? bucket : '';
}

/** As `statusOf`, of what a StorageError was made from. */
export function causeStatus(error: unknown): number | undefined {
  return isStorageError(error) ? statusOf(error.cause) : undefined;
}

/** A header of the answer that became this error. */
export function headerOf(error: unknown, header: string): string | undefined {
  return (error as ProviderError | undefined)?.$response?.headers?.[header];
}

/** Seconds, out of a Retry-After header as RFC 9110 has it: a number of them, or a date. NaN where it is neither. */
export function secondsIn(retryAfter = ''): number {
  return /^\d+(?:\.\d+)?$/.test(retryAfter) ? Number(retryAfter) : (Date.parse(retryAfter) - Date.now()) / 1000;
}
