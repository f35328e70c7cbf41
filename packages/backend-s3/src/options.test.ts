import { isStorageError } from '@coffer/storage-core';
import { describe, expect, it } from 'vitest';

import { minioBackend, openS3Backend, probeEndpoint, s3Backend } from './backend.ts';
import type { S3BackendOptions } from './options.ts';
import { settingsOf } from './settings.ts';

const keys = { accessKey: 'who', secretKey: 'a secret' };
const good = { endpoint: 'http://127.0.0.1:9000', ...keys };

/** As plain JavaScript passes them. */
const given = (options: object): S3BackendOptions => options as S3BackendOptions;

function refusal(make: () => unknown): { readonly code: string; readonly message: string } | undefined {
  try {
    make();
    return undefined;
  } catch (error) {
    return isStorageError(error) ? { code: error.code, message: error.message } : { code: 'none', message: String(error) };
  }
}

describe('options', () => {
  it.each([
    ['endpoint', { endpoint: 'minio.internal:9000' }],
    ['endpoint', { endpoint: '127.0.0.1:9000' }],
    ['endpoint', { endpoint: 'user:password@minio.internal' }],
    ['endpoint', { endpoint: '' }],
    ['endpoint', { endpoint: 'https://user:password@minio.internal' }],
    ['endpoint', { endpoint: 'https://minio.internal/?token=password' }],
    ['publicEndpoint', { publicEndpoint: 'https://minio.internal/#password' }],
    ['endpoint', { endpoint: 'ftp://minio.internal' }],
    ['endpoint', { endpoint: new URL('http://minio.internal') }],
    ['publicEndpoint', { publicEndpoint: 'files.example.com' }],
    ['secretKey', { secretKey: undefined }],
    ['accessKey', { accessKey: undefined }],
    ['secretKey', { secretKey: '' }],
    ['accessKey', { accessKey: '', secretKey: '' }],
    ['maxPoolConnections', { maxPoolConnections: 0 }],
    ['maxPoolConnections', { maxPoolConnections: -1 }],
    ['maxPoolConnections', { maxPoolConnections: Number.NaN }],
    ['maxPoolConnections', { maxPoolConnections: '10' }],
    ['maxRetries', { maxRetries: -1 }],
    ['maxRetries', { maxRetries: 1.5 }],
    ['timeout', { timeout: 0 }],
    ['timeout', { timeout: Number.NaN }],
    ['timeout', { timeout: Number.POSITIVE_INFINITY }],
    ['timeout', { timeout: 10_000_000 }],
    ['partSize', { partSize: Number.NaN }],
    ['partSize', { partSize: 8_000_000.5 }],
    ['uploadMemory', { uploadMemory: 0 }],
    ['partsAtOnce', { partsAtOnce: 0 }],
    ['copyByPartsFrom', { copyByPartsFrom: Number.NaN }],
    ['retryMode', { retryMode: 'legacy' }],
    ['payloadSigning', { payloadSigning: 'never' }],
    ['transport', { transport: 'http' }],
  ])('that make no sense are refused at once: %s, %j', (name, wrong) => {
    const refused = refusal(() => s3Backend(given({ ...good, ...wrong })));
    expect(refused?.code).toBe('invalid_argument');
    expect(refused?.message).toContain(name);
    expect(refused?.message).not.toContain('password');
    expect(refusal(() => minioBackend(given({ ...good, ...wrong }) as typeof good))).toEqual(refused);
  });

  it('of MinIO have an endpoint: without one, its keys and objects would go to AWS', () => {
    for (const options of [keys, { ...keys, endpoint: undefined }]) {
      expect(refusal(() => minioBackend(given(options) as typeof good))).toMatchObject({
        code: 'invalid_argument',
        message: expect.stringContaining('endpoint'),
      });
    }
  });

  it('are also refused by probes', async () => {
    await expect(probeEndpoint(given({ ...keys, endpoint: 'minio:9000' }))).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(openS3Backend(given({ ...good, secretKey: undefined }))).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it.each([
    [{}],
    [{ endpoint: 'HTTPS://minio.internal/base/' }],
    [{ ...good, maxRetries: 0, maxPoolConnections: 1, timeout: 0.5 }],
    [{ endpoint: good.endpoint, credentials: async () => ({ accessKeyId: 'who', secretAccessKey: 'secret' }) }],
    [{ ...good, region: undefined, timeout: undefined, publicEndpoint: undefined }],
  ])('that make sense are accepted: %j', async (options) => {
    await s3Backend(given(options)).close();
  });

  it('default to those of AWS, and are otherwise as given', () => {
    expect(settingsOf({})).toEqual({
      name: 's3',
      region: 'us-east-1',
      forcePathStyle: false,
      verifySsl: true,
      maxPoolConnections: 10,
      maxRetries: 3,
      retryMode: 'standard',
      patient: false,
      timeout: 60,
      payloadSigning: 'when-required',
      transport: 'lean',
      partSize: 8 * 2 ** 20,
      partsAtOnce: 4,
      uploadMemory: 64 * 2 ** 20,
      copyByPartsFrom: 2 ** 30,
      isAws: true,
    });
    const { accessKey: accessKeyId, secretKey: secretAccessKey } = keys;
    expect(settingsOf(good)).toMatchObject({ publicEndpoint: good.endpoint, credentials: { accessKeyId, secretAccessKey } });
    const others = {
      name: 'ceph',
      region: 'here',
      endpoint: good.endpoint,
      publicEndpoint: 'https://files.example.com',
      credentials: { accessKeyId, secretAccessKey },
      forcePathStyle: false,
      verifySsl: false,
      maxPoolConnections: 1,
      maxRetries: 0,
      retryMode: 'adaptive',
      patient: true,
      timeout: 1,
      payloadSigning: 'always',
      transport: 'sdk',
      partsAtOnce: 8,
      uploadMemory: 1,
      spoolDirectory: '/spool',
      copyByPartsFrom: 1,
    } as const;
    expect(settingsOf(others)).toMatchObject(others);
  });

  it.each([
    ['https://s3.eu-west-1.amazonaws.com', true],
    ['https://s3.cn-north-1.amazonaws.com.cn', true],
    ['https://s3.eu-west-1.api.aws', true],
    ['https://amazonaws.com.evil.test', false],
    ['https://evilamazonaws.com', false],
  ])('take %s for AWS: %s', (endpoint, isAws) => {
    expect(settingsOf({ endpoint })).toMatchObject({ isAws, forcePathStyle: !isAws });
  });

  it('keep the size of parts within what S3 takes', () => {
    expect([1, 16 * 2 ** 20, 2 ** 30].map((partSize) => settingsOf({ ...good, partSize }).partSize / 2 ** 20)).toEqual([5, 16, 64]);
  });
});
