import { describe, expect, it } from 'vitest';

import * as own from './errors.ts';

const { hasCode, isStorageError, StorageError, storageError } = own;

describe('storageError', () => {
  it.each([
    ['storage_not_configured', 'StorageNotConfiguredError'],
    ['file_not_found', 'StorageFileNotFoundError'],
    ['no_such_bucket', 'NoSuchBucketError'],
    ['bucket_already_exists', 'BucketAlreadyExistsError'],
    ['bucket_not_empty', 'BucketNotEmptyError'],
    ['invalid_key', 'InvalidKeyError'],
    ['invalid_bucket_name', 'InvalidBucketNameError'],
    ['invalid_argument', 'InvalidArgumentError'],
    ['access_denied', 'AccessDeniedError'],
    ['acl_not_supported', 'AclNotSupportedError'],
    ['not_supported', 'NotSupportedError'],
    ['connect_timeout', 'ConnectTimeoutError'],
    ['read_timeout', 'ReadTimeoutError'],
    ['storage_unavailable', 'StorageUnavailableError'],
    ['object_archived', 'ObjectArchivedError'],
    ['checksum_mismatch', 'ChecksumMismatchError'],
    ['tenant_context_required', 'TenantContextRequiredError'],
    ['tenant_mismatch', 'TenantMismatchError'],
    ['quota_exceeded', 'QuotaExceededError'],
  ] as const)('%s is a %s', (code, name) => {
    const error = storageError(code, 'why');
    const Class = own[name];
    expect(error).toBeInstanceOf(Class);
    expect(error).toBeInstanceOf(StorageError);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ code, name, message: 'why' });
    expect(new Class('direct').code).toBe(code);
  });

  it('has its name also where a bundler has given its class another', async () => {
    const copy = './errors.ts?minified';
    const minified = (await import(/* @vite-ignore */ copy)) as typeof own;
    for (const Class of [minified.StorageError, minified.InvalidKeyError]) Object.defineProperty(Class, 'name', { value: 'e' });
    expect(new minified.InvalidKeyError('why').name).toBe('InvalidKeyError');
    expect(minified.storageError('payload_too_large', 'why').name).toBe('StorageError');
  });

  it('has a plain StorageError for codes without a class', () => {
    expect(storageError('range_not_satisfiable', 'why', { objectSize: 3 })).toMatchObject({ name: 'StorageError', objectSize: 3 });
  });

  it('says whether a retry can help, unless told otherwise', () => {
    for (const code of ['connect_timeout', 'read_timeout', 'storage_unavailable'] as const)
      expect(storageError(code, '').retryable).toBe(true);
    for (const code of ['access_denied', 'file_not_found', 'internal_error'] as const) expect(storageError(code, '').retryable).toBe(false);
    expect(storageError('storage_unavailable', 'the disk is full', { retryable: false }).retryable).toBe(false);
  });

  it('keeps the cause, and only the fields it was given', () => {
    const cause = new Error('what the provider said');
    expect(storageError('internal_error', '', { cause }).cause).toBe(cause);
    expect(Object.keys(storageError('file_not_found', ''))).not.toEqual(expect.arrayContaining(['retryAfter']));
    expect(storageError('storage_unavailable', '', { retryAfter: 7 }).retryAfter).toBe(7);
    expect(storageError('validation_failed', '', { errors: [{ field: 'a', message: 'b' }] }).errors).toEqual([
      { field: 'a', message: 'b' },
    ]);
  });
});

describe('isStorageError', () => {
  it('knows the errors of another copy of this package', async () => {
    const copy = './errors.ts?another-copy';
    const other = (await import(/* @vite-ignore */ copy)) as typeof own;
    expect(other.StorageError).not.toBe(StorageError);
    const error: unknown = other.storageError('no_such_bucket', 'theirs');
    expect(error).not.toBeInstanceOf(StorageError);
    expect(isStorageError(error)).toBe(true);
    expect(hasCode(error, 'no_such_bucket')).toBe(true);
  });

  it.each([undefined, null, 'file_not_found', 5, {}, new Error('x'), Object.assign(new Error('x'), { code: 'file_not_found' })])(
    'is false for %s',
    (value) => {
      expect(isStorageError(value)).toBe(false);
      expect(hasCode(value, 'file_not_found')).toBe(false);
    },
  );

  it('narrows the type for TypeScript', () => {
    const error: unknown = storageError('range_not_satisfiable', 'outside', { objectSize: 7 });
    const size: number | undefined = hasCode(error, 'range_not_satisfiable') ? error.objectSize : undefined;
    expect(size).toBe(7);
  });
});
