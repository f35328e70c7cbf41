import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startGateway } from '@coffer/fixtures';
import type { S3Credentials } from '@coffer/fixtures';
import { noContext, readAll } from '@coffer/storage-core';
import type { ObjectStream, StorageBackend } from '@coffer/storage-core';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

import type { Identity } from '../signing/credentials.ts';
import { refusalOf } from '../testing/answers.ts';
import { faultBench, transports } from '../testing/fault-bench.ts';

const gateway = await startGateway();
const folder = await mkdtemp(join(tmpdir(), 'coffer-credentials-'));
afterAll(async () => {
  await gateway.stop();
  await rm(folder, { recursive: true });
});

const options = { contentType: 'text/plain' };
const small = Buffer.from('small');
const large = randomBytes(9 * 2 ** 20);
const identityOf = ({ accessKey, secretKey }: S3Credentials): Identity => ({
  accessKeyId: accessKey,
  secretAccessKey: secretKey,
});

describe.each(transports)('the credentials (%s)', (transport) => {
  const bench = faultBench(transport, async () => gateway);
  const calls: readonly [string, (backend: StorageBackend) => Promise<unknown>][] = [
    ['put', (backend) => backend.put(bench.at('put'), { kind: 'buffer', data: small }, options, noContext)],
    ['get', (backend) => backend.get(bench.at('small'), {}, noContext).then((result) => readAll((result as ObjectStream).body))],
    ['head', (backend) => backend.head(bench.at('small'), noContext)],
    ['list', (backend) => backend.list(bench.bucket, { maxKeys: 1 }, noContext)],
    ['put by parts', (backend) => backend.put(bench.at('large'), { kind: 'buffer', data: large }, options, noContext)],
  ];
  const newKey = (): Promise<S3Credentials> => gateway.newKey(bench.account.accessKey ?? '');

  beforeAll(() => bench.direct.put(bench.at('small'), { kind: 'buffer', data: small }, options, noContext));
  afterEach(() => void vi.unstubAllEnvs());

  it.each([
    ['an unknown key', { accessKey: 'nobody' }],
    ['a wrong secret', { secretKey: 'wrong-secret' }],
  ])('with %s fail at once with access_denied, and disclose no secret', async (_name, wrong) => {
    const backend = bench.through({ ...wrong, maxRetries: 3 });
    const outcomes = await Promise.all(calls.map(([, call]) => call(backend).catch((error: unknown) => error)));
    for (const error of outcomes) {
      expect(error).toMatchObject({ code: 'access_denied', retryable: false });
      expect(JSON.stringify([(error as Error).message, (error as Error).stack])).not.toContain('wrong-secret');
    }
    expect(bench.proxy.requests).toHaveLength(calls.length);
  });

  it('of a provider are fetched again by the next call if they were revoked and replaced', async () => {
    let current = await newKey();
    const provider = vi.fn<() => Promise<Identity>>(async () => identityOf(current));
    const backend = bench.through({ credentials: provider });
    for (const [, call] of calls) await call(backend);
    for (const [name, call] of calls) {
      expect(provider, name).toHaveBeenCalledTimes(1);
      provider.mockClear();
      const old = current;
      current = await newKey();
      await gateway.revoke(old.accessKey);
      await call(backend);
    }
  });

  it('of a provider that has no others are access_denied', async () => {
    const key = await newKey();
    const backend = bench.through({ credentials: async () => identityOf(key) });
    await gateway.revoke(key.accessKey);
    for (const [, call] of calls.slice(0, 4))
      await expect(call(backend)).rejects.toMatchObject({ code: 'access_denied', retryable: false });
  });

  it('of a provider that does not answer are reported as late', async () => {
    const provider = vi.fn<() => Promise<Identity>>(() => new Promise(() => {}));
    const backend = bench.through({ credentials: provider, timeout: 0.2, maxRetries: 2 });
    const message = 'The credentials for the storage provider did not arrive in time.';
    await expect(calls[2]![1](backend)).rejects.toMatchObject({ code: 'read_timeout', message });
    expect(provider).toHaveBeenCalledTimes(1);
    expect(bench.proxy.requests).toHaveLength(0);
  });

  it('of a provider that does not answer are not waited for by an aborted caller', async () => {
    const stop = new AbortController();
    const provider = (): Promise<Identity> => {
      stop.abort(new Error('enough'));
      return new Promise(() => {});
    };
    const head = bench.through({ credentials: provider, timeout: 600 }).head(bench.at('any'), { signal: stop.signal });
    await expect(head).rejects.toThrow('enough');
  });

  it.each([
    ['of its own', new Error('the vault is sealed')],
    ['of another server that is gone', Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })],
    ['of another server that refuses', Object.assign(new Error('no role'), { name: 'AccessDenied', $metadata: { httpStatusCode: 403 } })],
  ])('of a provider that fails are blamed, not the storage provider: for a reason %s', async (_why, failure) => {
    const provider = vi.fn<() => Promise<Identity>>(() => Promise.reject(failure));
    const backend = bench.through({ credentials: provider, maxRetries: 2 });
    const message = 'The credentials for the storage provider cannot be obtained at the moment.';
    const error: unknown = await calls[1]![1](backend).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'storage_unavailable', retryable: true, message });
    expect((error as Error & { cause: Error }).cause.cause).toBe(failure);
    expect(provider).toHaveBeenCalledTimes(1);
    expect(bench.proxy.requests).toHaveLength(0);
  });

  it.each<[string, () => unknown]>([
    [
      'throws at once',
      () => {
        throw Object.assign(new Error('no role'), { name: 'AccessDenied' });
      },
    ],
    ['fails without a reason', () => Promise.reject()],
    ['gives nothing', async () => undefined],
    ['gives no keys', async () => ({})],
  ])('of a provider that %s are blamed as well', async (_what, provider) => {
    const backend = bench.through({ credentials: provider as () => Promise<Identity>, maxRetries: 2 });
    await expect(calls[1]![1](backend)).rejects.toMatchObject({
      code: 'storage_unavailable',
      message: 'The credentials for the storage provider cannot be obtained at the moment.',
    });
    expect(bench.proxy.requests).toHaveLength(0);
  });

  it('of a provider are fetched before they expire', async () => {
    const keys = [await newKey(), await newKey()];
    const lives = [1000, 3_600_000];
    const left = [...keys];
    const provider = async (): Promise<Identity> => ({ ...identityOf(left.shift()!), expiration: new Date(Date.now() + lives.shift()!) });
    const backend = bench.through({ credentials: provider });
    await calls[0]![1](backend);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await gateway.revoke(keys[0]!.accessKey);
    for (const [, call] of calls.slice(0, 4)) await call(backend);
    expect(bench.proxy.count('PUT')).toBe(2);
  });

  it('of a file that is written anew are read anew', async () => {
    const file = join(folder, `credentials-${transport}`);
    const write = ({ accessKey, secretKey }: S3Credentials): Promise<void> =>
      writeFile(file, `[default]\naws_access_key_id = ${accessKey}\naws_secret_access_key = ${secretKey}\n`);
    for (const name of ['AWS_PROFILE', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN']) vi.stubEnv(name, undefined);
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', file);
    vi.stubEnv('AWS_CONFIG_FILE', join(folder, 'none'));
    const [old, next] = [await newKey(), await newKey()];
    await write(old);
    const backend = bench.through({ credentials: undefined });
    for (const [, call] of calls) await call(backend);
    await write(next);
    await gateway.revoke(old.accessKey);
    for (const [, call] of calls) await call(backend);
  });

  it('of the environment are taken, with their session token', async () => {
    const token = 'session/token+==';
    vi.stubEnv('AWS_PROFILE', undefined);
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'id-of-the-environment');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
    vi.stubEnv('AWS_SESSION_TOKEN', token);
    bench.proxy.faults.answer = ({ method }) => refusalOf(403, 'AccessDenied', method);
    const backend = bench.through({ credentials: undefined });
    for (const [, call] of calls) await expect(call(backend)).rejects.toMatchObject({ code: 'access_denied' });
    for (const { headers } of bench.proxy.requests) {
      expect(headers['x-amz-security-token']).toBe(token);
      expect(headers['authorization']).toMatch(/Credential=id-of-the-environment\/.*SignedHeaders=[^,]*x-amz-security-token/);
    }
    const { url } = (await backend.presign?.download(bench.at('small'), { expiresIn: 60 }, noContext)) ?? { url: '' };
    expect(new URL(url).searchParams.get('X-Amz-Security-Token')).toBe(token);
  });

  it('that are nowhere are access_denied, and say so', async () => {
    for (const name of ['AWS_PROFILE', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN']) vi.stubEnv(name, undefined);
    for (const name of ['AWS_SHARED_CREDENTIALS_FILE', 'AWS_CONFIG_FILE']) vi.stubEnv(name, join(folder, 'none'));
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    const backend = bench.through({ credentials: undefined });
    for (const [, call] of calls) {
      await expect(call(backend)).rejects.toMatchObject({
        code: 'access_denied',
        message: expect.stringContaining('no credentials') as string,
      });
    }
    expect(bench.proxy.requests).toHaveLength(0);
  });
});
