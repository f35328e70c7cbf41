import { storageError } from '@coffer/storage-core';

import type { S3BackendOptions } from './options.ts';

/** In seconds. Timers of Node overflow, and fire at once, beyond 24 of them. */
const day = 86_400;

/**
 * Mistakes are told where they are made. Later, an address without a scheme is a connection that fails, one key of two is
 * the SDK's default chain with credentials of somebody else, and a number that is none is a call that waits for ever.
 * @throws invalid_argument that names the option, and no value: an address may hold a password
 */
export function assertOptions(options: S3BackendOptions): void {
  const { accessKey, secretKey } = options;
  assertUrl('endpoint', options.endpoint);
  assertUrl('publicEndpoint', options.publicEndpoint);
  if (accessKey === '' || secretKey === '' || (accessKey === undefined) !== (secretKey === undefined)) {
    throw storageError('invalid_argument', 'Give an S3 backend both accessKey and secretKey, or neither; they must not be empty.');
  }
  assertNumber('maxPoolConnections', options.maxPoolConnections, 1);
  assertNumber('maxRetries', options.maxRetries, 0);
  assertNumber('partSize', options.partSize, 1);
  assertNumber('partsAtOnce', options.partsAtOnce, 1);
  assertNumber('uploadMemory', options.uploadMemory, 1);
  assertNumber('copyByPartsFrom', options.copyByPartsFrom, 1);
  const { timeout } = options;
  if (timeout !== undefined && !(timeout > 0 && timeout <= day)) {
    throw storageError('invalid_argument', `The timeout of an S3 backend must be a number of seconds, more than 0 and at most ${day}.`);
  }
  assertOneOf('retryMode', options.retryMode, ['standard', 'adaptive']);
  assertOneOf('payloadSigning', options.payloadSigning, ['when-required', 'always']);
  assertOneOf('transport', options.transport, ['lean', 'sdk']);
}

/**
 * Of a server that is not AWS. One whose variable is not set would else be AWS, and be sent keys and objects that are not its own.
 * @throws invalid_argument
 */
export function assertEndpoint(endpoint: string | undefined): void {
  if (endpoint === undefined) throw storageError('invalid_argument', 'A MinIO backend needs an endpoint.');
}

/** Without what is in no request: a name and password would go unused, and a query end up in the middle of a path. */
function assertUrl(name: string, value: string | undefined): void {
  if (value === undefined || (typeof value === 'string' && isPlain(URL.parse(value)))) return;
  const like = 'must be a URL that begins with http:// or https://, without user name, query or fragment';
  throw storageError('invalid_argument', `${name} of an S3 backend ${like}.`);
}

function isPlain(url: URL | null): boolean {
  return url !== null && /^https?:$/.test(url.protocol) && [url.username, url.password, url.search, url.hash].every((part) => part === '');
}

function assertNumber(name: string, value: number | undefined, least: number): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= least)) return;
  throw storageError('invalid_argument', `${name} of an S3 backend must be a whole number of at least ${least}.`);
}

function assertOneOf<T extends string>(name: string, value: T | undefined, all: readonly T[]): void {
  if (value === undefined || all.includes(value)) return;
  throw storageError('invalid_argument', `${name} of an S3 backend must be ${all.map((each) => `"${each}"`).join(' or ')}.`);
}
