import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { createServer } from 'node:tls';

import { selfSigned } from '@coffer/fixtures';
import { noContext, readAll } from '@coffer/storage-core';
import type { ObjectStream, StorageBackend } from '@coffer/storage-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { S3BackendOptions } from '../options.ts';
import { connectProxy } from '../testing/connect-proxy.ts';
import type { ConnectProxy } from '../testing/connect-proxy.ts';
import { faultBench, transports } from '../testing/fault-bench.ts';
import { tlsFront } from '../testing/tls-front.ts';

const https = process.getBuiltinModule('node:https');
const { globalAgent } = https;

/** Sets the agent that Node creates if NODE_USE_ENV_PROXY is set. */
function useProxies(proxyEnv: { readonly https_proxy?: string; readonly no_proxy?: string }): void {
  https.globalAgent = new Agent({ proxyEnv });
}

const options = { contentType: 'text/plain' };
const small = Buffer.from('small');
const large = randomBytes(12 * 2 ** 20);
const thirty = Array.from({ length: 30 }, (_, index) => `${index}`);

describe.each(transports)('through the proxy of the environment (%s)', (transport) => {
  const bench = faultBench(transport);
  let front: Awaited<ReturnType<typeof tlsFront>>;
  let proxy: ConnectProxy;

  beforeEach(async () => {
    front = await tlsFront(bench.proxy.endpoint);
    proxy = await connectProxy();
    useProxies({ https_proxy: proxy.url });
  });
  afterEach(async () => {
    https.globalAgent = globalAgent;
    await proxy[Symbol.asyncDispose]();
    await front[Symbol.asyncDispose]();
  });

  const through = (extra: S3BackendOptions = {}): StorageBackend =>
    bench.through({ endpoint: `https://127.0.0.1:${front.port}`, ...extra });
  const put = (backend: StorageBackend, key: string): Promise<unknown> =>
    backend.put(bench.at(key), { kind: 'buffer', data: small }, options, noContext);
  const get = async (backend: StorageBackend, key: string): Promise<Buffer> =>
    readAll(((await backend.get(bench.at(key), {}, noContext)) as ObjectStream).body);

  it('all requests go, over as many sockets as allowed, which are kept', async () => {
    const backend = through({ maxPoolConnections: 4 });
    await Promise.all(thirty.map((key) => put(backend, key)));
    const bodies = await Promise.all(thirty.map((key) => get(backend, key)));
    for (const body of bodies) expect(body.toString()).toBe('small');
    await backend.put(bench.at('large'), { kind: 'stream', stream: Readable.from([large]) }, options, noContext);
    expect((await get(backend, 'large')).equals(large)).toBe(true);
    await backend.delete(bench.at('large'), noContext);
    await expect(backend.head(bench.at('large'), noContext)).rejects.toMatchObject({ code: 'file_not_found' });

    const target = `127.0.0.1:${front.port}`;
    expect(new Set(proxy.tunnels)).toEqual(new Set([target]));
    expect(proxy.tunnels.length).toBeLessThanOrEqual(4);
    expect(bench.proxy.mostConnections()).toBeLessThanOrEqual(4);
    await backend.close();
    await expect.poll(() => proxy.open()).toBe(0);
  });

  it('hosts that are excepted are asked themselves', async () => {
    useProxies({ https_proxy: proxy.url, no_proxy: '127.0.0.1' });
    const backend = through();
    await put(backend, 'direct');
    expect((await get(backend, 'direct')).toString()).toBe('small');
    expect(proxy.tunnels).toEqual([]);
  });

  it('a connection that is cut before the answer is one attempt', async () => {
    const backend = through({ maxRetries: 1 });
    bench.proxy.faults.answer = () => 'cut';
    await expect(put(backend, 'cut')).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
    expect(bench.proxy.count('PUT')).toBe(2);
  });

  it.each([
    [
      'a refusal',
      '403 Forbidden',
      { code: 'storage_unavailable', retryable: false, message: expect.stringMatching(/HTTPS_PROXY, answered 403/) },
      1,
    ],
    [
      'a failure',
      '502 Bad Gateway',
      { code: 'storage_unavailable', retryable: true, message: expect.stringMatching(/HTTPS_PROXY, answered 502/) },
      2,
    ],
    [
      'an end',
      'end',
      { code: 'storage_unavailable', retryable: true, message: expect.stringMatching(/HTTPS_PROXY, cannot be reached/) },
      2,
    ],
    ['silence', 'silence', { code: 'connect_timeout', retryable: true }, 2],
    ['a tunnel that leads nowhere', 'hole', { code: 'connect_timeout', retryable: true }, 2],
  ] as const)('%s of the proxy is reported, and does not block a socket for good', async (_what, answer, error, attempts) => {
    const backend = through({ maxPoolConnections: 1, maxRetries: 1, timeout: 1 });
    proxy.answer = answer;
    const failure = (await put(backend, 'refused').catch((reason: unknown) => reason)) as Error;
    expect(failure).toMatchObject(error);
    expect(String(failure.cause)).not.toContain('secret');
    expect(proxy.tunnels).toHaveLength(attempts);
    proxy.answer = undefined;
    await put(backend, 'let in');
    expect((await get(backend, 'let in')).toString()).toBe('small');
    expect(proxy.open()).toBe(1);
  });

  it('a proxy that wants another password, or cannot be reached, is reported', async () => {
    useProxies({ https_proxy: proxy.url.replace('secret', 'wrong') });
    await expect(put(through(), 'none')).rejects.toMatchObject({
      code: 'storage_unavailable',
      retryable: false,
      message: expect.stringMatching(/answered 407/) as unknown,
    });
    useProxies({ https_proxy: 'http://127.0.0.1:1' });
    await expect(put(through(), 'none')).rejects.toMatchObject({
      code: 'storage_unavailable',
      retryable: true,
      message: expect.stringMatching(/HTTPS_PROXY, cannot be reached/) as unknown,
    });
  });

  it('a proxy whose certificate is not trusted is reported', async () => {
    const untrusted = createServer(selfSigned()).listen(0, '127.0.0.1');
    await once(untrusted, 'listening');
    useProxies({ https_proxy: `https://127.0.0.1:${(untrusted.address() as AddressInfo).port}` });
    await expect(put(through(), 'none')).rejects.toMatchObject({
      code: 'storage_unavailable',
      retryable: false,
      message: expect.stringMatching(/HTTPS_PROXY, has a certificate that is not trusted/) as unknown,
    });
    untrusted.close();
  });

  it('a certificate behind the tunnel that is not trusted is not taken for that of the proxy, and the tunnel is closed', async () => {
    const endpoint = `https://other.localhost:${front.port}`;
    await expect(put(through({ endpoint, forcePathStyle: true }), 'none')).rejects.toMatchObject({
      code: 'storage_unavailable',
      retryable: false,
      message: expect.stringMatching(/^The storage provider's certificate is not trusted/) as unknown,
    });
    await expect.poll(() => proxy.open()).toBe(0);
  });

  it('a tunnel may be in use for longer than it may take to open', async () => {
    const backend = through({ maxRetries: 0, timeout: 1 });
    await bench.direct.put(bench.at('large'), { kind: 'buffer', data: large }, options, noContext);
    bench.proxy.faults.drip = { bytes: 256 * 1024, ms: 30 };
    expect((await get(backend, 'large')).equals(large)).toBe(true);
    expect(proxy.tunnels).toHaveLength(1);
  });

  it('a tunnel whose caller gave up goes to the next one', async () => {
    const backend = through({ maxPoolConnections: 1 });
    const giveUp = new AbortController();
    const given = backend.put(bench.at('gone'), { kind: 'buffer', data: small }, options, { signal: giveUp.signal });
    const next = put(backend, 'next');
    giveUp.abort(new Error('gone'));
    await expect(given).rejects.toThrow();
    await next;
    expect(proxy.open()).toBe(1);
  });

  it.each(['silence', 'hole'] as const)('callers who wait for a tunnel learn at once that the backend is closed (%s)', async (answer) => {
    const backend = through();
    proxy.answer = answer;
    const waiting = Promise.allSettled([put(backend, 'a'), put(backend, 'b')]);
    await expect.poll(() => proxy.tunnels.length).toBe(2);
    await backend.close();
    for (const ended of await waiting)
      expect(ended).toMatchObject({ status: 'rejected', reason: { code: 'storage_unavailable', retryable: true } });
    await expect.poll(() => proxy.open()).toBe(0);
  });
});
