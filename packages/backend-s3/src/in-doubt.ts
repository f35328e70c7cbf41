import { isStorageError } from '@coffer/storage-core';

import { isConnectError } from './network-errors.ts';
import { headerOf, isOfGateway, statusOf } from './provider-error.ts';
import type { ProviderError } from './provider-error.ts';

/**
 * Whether a failed attempt may have been carried out all the same: its answer got lost, or a gateway answered instead. If the server itself
 * answers with an error, nothing was done; Ceph tells the loser of a race for a key this way.
 */
export function isInDoubt(error: unknown): boolean {
  const status = statusOf(error);
  if (status === undefined) return !isConnectError(error);
  return isOfGateway(status) || (status === 503 && isInPlainWords(error));
}

/**
 * Envoy says 503 in plain words where other gateways say 502: also when its connection to the server is cut after all has been sent. S3
 * answers with XML or nothing, and other gateways that reach no server with HTML.
 */
function isInPlainWords(error: unknown): boolean {
  return /^text\/plain\b/i.test(headerOf(error, 'content-type') ?? '');
}

/** Records in the error of an attempt that an earlier one left such doubt. A refused connection says as little about that one as an answer. */
export function noteDoubt(error: unknown): void {
  if (error instanceof Error) Object.assign(error, { $metadata: { ...(error as ProviderError).$metadata, wasInDoubt: true } });
}

/** Whether an earlier attempt left such doubt, according to the cause of a StorageError. */
export function wasInDoubt(error: unknown): boolean {
  return isStorageError(error) && (error.cause as ProviderError | undefined)?.$metadata?.wasInDoubt === true;
}

/** Whether the server may still be at work on what this StorageError says has failed: no attempt, or only some, got its own answer. */
export function mayBeUnderWay(error: unknown): boolean {
  return isStorageError(error) && (isInDoubt(error.cause) || wasInDoubt(error));
}
