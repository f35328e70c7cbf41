import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';

import { startS3 } from '@coffer/fixtures';
import { noContext, readAll } from '@coffer/storage-core';
import type { ObjectAddress, ObjectStream, StorageBackend } from '@coffer/storage-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { s3Backend } from './backend.ts';
import type { S3BackendOptions } from './options.ts';
import { proxyTo } from './testing/proxy.ts';
import type { Proxy } from './testing/proxy.ts';
import { accountOn, startOn } from './testing/server.ts';
import type { StartedStore } from './testing/server.ts';

const server = await startS3('ceph');
const options = { contentType: 'text/plain' };
const large = randomBytes(12 * 2 ** 20);

describe('when the provider fails', () => {
  let account: S3BackendOptions;
  let started: StartedStore;
  let proxy: Proxy;
  const open: StorageBackend[] = [];
  const at = (key: string): ObjectAddress => ({ bucket: started.bucket, key });
  const through = (extra: S3BackendOptions = {}): StorageBackend => {
    const backend = s3Backend({ ...account, endpoint: proxy.endpoint, maxRetries: 1, timeout: 1, ...extra });
    open.push(backend);
    return backend;
  };

  beforeAll(async () => {
    account = await accountOn(server);
    started = await startOn(account);
    await started.backend.put(at('large'), { kind: 'buffer', data: large }, options, noContext);
  });
  afterAll(async () => {
    await started.backend.close();
    await started.stop();
  });
  beforeEach(async () => {
    proxy = await proxyTo(server.endpoint);
  });
  afterEach(async () => {
    for (const backend of open.splice(0)) await backend.close();
    await proxy.close();
  });

  it('a download that is cut off fails its reader with storage_unavailable', async () => {
    proxy.faults.cutAfter = 1_000_000;
    const { body } = (await through().get(at('large'), {}, noContext)) as ObjectStream;
    await expect(readAll(body)).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
  });

  it('a download that stops in the middle fails with read_timeout', async () => {
    const { body } = (await through().get(at('large'), {}, noContext)) as ObjectStream;
    body.once('data', () => (proxy.faults.frozen = true));
    await expect(readAll(body)).rejects.toMatchObject({ code: 'read_timeout', retryable: true });
  });

  it('an upload that is cut off fails with storage_unavailable and leaves nothing', async () => {
    const backend = through({ maxRetries: 0 });
    await backend.check(noContext);
    proxy.faults.cutUploadAfter = 3_000_000;
    const stream = Readable.from([large], { objectMode: false });
    await expect(backend.put(at('cut'), { kind: 'stream', stream }, options, noContext)).rejects.toMatchObject({
      code: 'storage_unavailable',
    });
    expect(stream.destroyed).toBe(true);
    await expect(started.backend.head(at('cut'), noContext)).rejects.toMatchObject({ code: 'file_not_found' });
    await expect.poll(started.leftovers).toEqual([]);
  });

  it('a call that nobody answers fails with read_timeout', async () => {
    const backend = through({ maxRetries: 0 });
    proxy.faults.frozen = true;
    await expect(backend.head(at('large'), noContext)).rejects.toMatchObject({ code: 'read_timeout', retryable: true });
  });

  it('a provider that is not there is storage_unavailable', async () => {
    const backend = through();
    await proxy.close();
    await expect(backend.check(noContext)).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
    proxy = await proxyTo(server.endpoint);
  });

  it('bodies that nobody reads leave room for everything else, and are given up', async () => {
    const backend = through({ maxPoolConnections: 5, timeout: 2 });
    const forgotten = await Promise.all([1, 2, 3, 4].map(async () => (await backend.get(at('large'), {}, noContext)) as ObjectStream));
    await backend.put(at('small'), { kind: 'buffer', data: Buffer.from('small') }, options, noContext);
    expect((await backend.head(at('small'), noContext)).size).toBe(5);
    const read = (await backend.get(at('small'), {}, noContext)) as ObjectStream;
    expect((await readAll(read.body)).toString()).toBe('small');
    await expect
      .poll(() => forgotten.map(({ body }) => body.errored), { timeout: 20_000 })
      .toEqual(forgotten.map(() => expect.objectContaining({ code: 'read_timeout' }) as unknown));
  });

  it('a client that leaves gives its socket back', async () => {
    const backend = through({ maxPoolConnections: 5 });
    for (let turn = 0; turn < 20; turn++) {
      const cancel = new AbortController();
      const { body } = (await backend.get(at('large'), {}, { signal: cancel.signal })) as ObjectStream;
      if (turn % 2 === 0) cancel.abort();
      else body.destroy();
    }
    await expect.poll(() => proxy.connections()).toBeLessThanOrEqual(5);
    expect((await backend.head(at('large'), noContext)).size).toBe(large.length);
  });

  it('wrong keys are access_denied, and no secret is told', async () => {
    for (const extra of [{ secretKey: 'wrong-secret' }, { accessKey: 'nobody' }]) {
      const error: unknown = await through(extra)
        .check(noContext)
        .catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'access_denied', retryable: false });
      expect((error as Error).message).not.toContain('wrong-secret');
    }
  });

  it('a provider that throttles is asked again, then storage_unavailable with the time to wait', async () => {
    let asked = 0;
    const throttling = createServer((request, response) => {
      asked++;
      request.resume();
      response.writeHead(503, { 'retry-after': '1' });
      response.end('<Error><Code>SlowDown</Code></Error>');
    });
    throttling.listen(0, '127.0.0.1');
    await once(throttling, 'listening');
    const backend = through({ endpoint: `http://127.0.0.1:${(throttling.address() as AddressInfo).port}`, maxRetries: 1 });
    const put = backend.put(at('x'), { kind: 'buffer', data: Buffer.from('x') }, options, noContext);
    await expect(put).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true, retryAfter: 1 });
    expect(asked).toBe(2);
    throttling.close();
    throttling.closeAllConnections();
  });
});
