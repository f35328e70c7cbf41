import { storageError } from '@coffer/storage-core';

import type { S3BackendOptions } from './options.ts';

/** In seconds. Node's timers overflow and fire at once beyond 24 days. */
const day = 86_400;

/**
 * Reports mistakes where they are made. Later, an endpoint without a scheme would be a failed connection, a single key would fall back to
 * the SDK's default chain and somebody else's credentials, and a number that is not one would be a call that waits for ever.
 * @throws invalid_argument that names the option but not its value: a URL may contain a password
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
 * For servers other than AWS. If the variable with the endpoint were unset, keys and objects that are not meant for AWS would be sent to
 * AWS.
 * @throws invalid_argument
 */
export function assertEndpoint(endpoint: string | undefined): void {
  if (endpoint === undefined) throw storageError('invalid_argument', 'A MinIO backend needs an endpoint.');
}

/** Rejects parts that appear in no request: a user name and password would be ignored, and a query would end up in the middle of a path. */
function assertUrl(name: string, value: string | undefined): void {
  if (value === undefined || (typeof value === 'string' && isPlain(URL.parse(value)))) return;
  const like = 'must be a URL that begins with http:// or https://, without user name, query or fragment';
  throw storageError('invalid_argument', `${name} of an S3 backend ${like}.`);
}

function isPlain(url: URL | null): boolean {
  return url !== null && /^https?:$/.test(url.protocol) && [url.username, url.password, url.search, url.hash].every((part) => part === '');
}

function assertNumber(name: string, value: number | undefined, min: number): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= min)) return;
  throw storageError('invalid_argument', `${name} of an S3 backend must be a whole number of at least ${min}.`);
}

function assertOneOf<T extends string>(name: string, value: T | undefined, all: readonly T[]): void {
  if (value === undefined || all.includes(value)) return;
  throw storageError('invalid_argument', `${name} of an S3 backend must be ${all.map((each) => `"${each}"`).join(' or ')}.`);
}
