import { isStorageError } from '@coffer/storage-core';
import type { StorageError } from '@coffer/storage-core';

/** An error of the provider, the SDK or the network. */
export interface ProviderError {
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly wasInDoubt?: boolean };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>>; body?: unknown };
}

/** The name that S3 gives the error: many servers send nothing else. */
export function nameOf(error: unknown): string {
  const { name, Code } = (error ?? {}) as { readonly name?: unknown; readonly Code?: unknown };
  return typeof Code === 'string' ? Code : typeof name === 'string' ? name : '';
}

/** Names of refusals that give no reason, such as those of HEAD. */
const genericNames: ReadonlySet<string> = new Set([
  '',
  '400',
  '401',
  '403',
  'BadRequest',
  'Forbidden',
  'Unauthorized',
  'Unknown',
  'UnknownError',
]);

export function isNameless(name: string): boolean {
  return genericNames.has(name);
}

/** Like `nameOf`, for the cause of a StorageError. */
export function causeName(error: unknown): string {
  return nameOf(isStorageError(error) ? error.cause : error);
}

/** Names of refusals of keys that are unknown or no longer valid. */
export const keyErrors: ReadonlySet<string> = new Set(['ExpiredToken', 'InvalidAccessKeyId', 'InvalidToken', 'TokenRefreshRequired']);

/** Names of refusals of whatever the account asks, until its keys, the clock or the account itself are mended. */
const accountErrors: ReadonlySet<string> = new Set([
  ...keyErrors,
  'AccountProblem',
  'CredentialsProviderError',
  'NotSignedUp',
  'RequestTimeTooSkewed',
  'SignatureDoesNotMatch',
  'SsoSessionEndedError',
  'UserSuspended',
]);

export function isAboutAccount(error: StorageError): boolean {
  return accountErrors.has(causeName(error));
}

export function statusOf(error: unknown): number | undefined {
  return (error as ProviderError | undefined)?.$metadata?.httpStatusCode;
}

/** Whether a gateway says that it got no answer from the server: a standard one, or Cloudflare, whose own statuses begin at 520. */
export function isOfGateway(status = 0): boolean {
  return status === 502 || status === 504 || (status >= 520 && status <= 530);
}

/** The bucket that the provider names in the error behind a StorageError; empty if it names none. */
export function causeBucket(error: unknown): string {
  const { BucketName: bucket } = ((isStorageError(error) ? error.cause : undefined) ?? {}) as { readonly BucketName?: unknown };
  return typeof bucket === 'string' ? bucket : '';
}

/** Like `statusOf`, for the cause of a StorageError. */
export function causeStatus(error: unknown): number | undefined {
  return isStorageError(error) ? statusOf(error.cause) : undefined;
}

/** The code of the network error behind a StorageError. */
export function causeCode(error: unknown): string | undefined {
  return isStorageError(error) ? (error.cause as ProviderError | undefined)?.code : undefined;
}

/** A header of the answer that became this error. */
export function headerOf(error: unknown, header: string): string | undefined {
  return (error as ProviderError | undefined)?.$response?.headers?.[header];
}

/** Seconds from a Retry-After header according to RFC 9110, which holds a number of them or a date. NaN if it holds neither. */
export function secondsIn(retryAfter = ''): number {
  return /^\d+(?:\.\d+)?$/.test(retryAfter) ? Number(retryAfter) : (Date.parse(retryAfter) - Date.now()) / 1000;
}
