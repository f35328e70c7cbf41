import { hash } from 'node:crypto';
import { getEventListeners, once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';

import { noContext, untilAborted } from '@coffer/storage-core';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';

import { connect } from '../http/connection.ts';
import { cutError, StaleSocketError } from '../http/socket-errors.ts';
import { openStore } from '../open-store.ts';
import { RetryPolicy } from '../retry.ts';
import { settingsOf } from '../settings.ts';
import { newStage } from '../testing/lean.ts';
import { answering, ok, refusal } from '../testing/scripted.ts';
import type { Answer } from '../testing/scripted.ts';
import { LeanClient } from './client.ts';

const at = { bucket: 'bucket', key: 'a b' };
const data = Buffer.from('ten bytes!');
const payload = { kind: 'buffer', data } as const;
const described = { contentType: 'text/plain' };

const { serve, transportTo, open, clear } = newStage();
afterEach(clear);

const regionOf = ({ headers }: IncomingMessage): string | undefined =>
  /Credential=[^/]+\/\d+\/([^/]+)/.exec(headers.authorization ?? '')?.[1];

const timeOf = ({ headers }: IncomingMessage): number =>
  Date.parse(String(headers['x-amz-date']).replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'));

describe('what a server finds wrong', () => {
  it.each([400, 401, 403])('with the clock is corrected for all further requests (%i)', async (status) => {
    const ahead = 3_600_000;
    const date = new Date(Date.now() + ahead).toUTCString();
    const server = await serve(refusal(status, 'RequestTimeTooSkewed', { date }), ok);
    const transport = transportTo(server, { maxRetries: 0 });
    expect(await transport.put(at, payload, described, noContext)).toEqual({ etag: 'made' });
    await transport.head(at, noContext);
    expect(server.requests.map((request) => timeOf(request) - Date.now() > ahead / 2)).toEqual([false, true, true]);
  });

  it.each(['lean', 'sdk'] as const)(
    'with the clock is corrected also by the refusal of a stream, which itself is gone (%s)',
    async (driver) => {
      const ahead = 3_600_000;
      const date = new Date(Date.now() + ahead).toUTCString();
      const server = await serve(refusal(403, 'RequestTimeTooSkewed', { date }), ok);
      const { transport, connection } = openStore({
        endpoint: server.endpoint,
        accessKey: 'who',
        secretKey: 'secret',
        maxRetries: 0,
        transport: driver,
      });
      open.push(() => connection.close());
      const stream = Readable.from([data], { objectMode: false });
      const put = transport.put(at, { kind: 'stream', stream, size: data.length }, described, noContext);
      await expect(put).rejects.toMatchObject({ code: 'access_denied' });
      await transport.head(at, noContext);
      expect(server.requests.map((request) => timeOf(request) - Date.now() > ahead / 2)).toEqual([false, true]);
    },
  );

  it('with the clock shows at a HEAD by the date alone', async () => {
    const server = await serve(refusal(403, '', { date: new Date(Date.now() - 3_600_000).toUTCString() }), ok);
    expect(await transportTo(server, { maxRetries: 0 }).head(at, noContext)).toMatchObject({ etag: 'made' });
  });

  it('with a request is not blamed on the clock, however wrong that is, if the request was not refused', async () => {
    const server = await serve(refusal(404, 'NoSuchKey', { date: new Date(Date.now() - 3_600_000).toUTCString() }));
    await expect(transportTo(server).head(at, noContext)).rejects.toMatchObject({ code: 'file_not_found' });
    expect(server.requests.filter(({ url }) => url?.includes('a%20b'))).toHaveLength(1);
  });

  it.each(['lean', 'sdk'] as const)('with both the clock and the region is corrected within one call (%s)', async (transport) => {
    const ahead = 3_600_000;
    const server = await serve((request, response) => {
      const date = new Date(Date.now() + ahead).toUTCString();
      if (timeOf(request) - Date.now() < ahead / 2) return refusal(403, 'RequestTimeTooSkewed', { date })(request, response);
      if (regionOf(request) === 'eu-west-1') return ok(request, response);
      return refusal(400, 'AuthorizationHeaderMalformed', { date }, '<Region>eu-west-1</Region>')(request, response);
    });
    const store = openStore({ endpoint: server.endpoint, accessKey: 'who', secretKey: 'secret', maxRetries: 0, transport });
    open.push(() => store.connection.close());
    expect(await store.transport.put(at, payload, described, noContext)).toEqual({ etag: 'made' });
    expect(server.requests).toHaveLength(3);
  });

  it.each(['lean', 'sdk'] as const)('with the keys is not blamed on a clock or a region that is right (%s)', async (driver) => {
    const server = await serve(refusal(403, 'AccessDenied', { 'x-amz-bucket-region': 'us-east-1' }));
    const keys = { accessKey: 'who', secretKey: 'secret' };
    const { transport, connection } = openStore({ endpoint: server.endpoint, ...keys, transport: driver });
    open.push(() => connection.close());
    await expect(transport.head(at, noContext)).rejects.toMatchObject({ code: 'access_denied' });
    expect(server.requests).toHaveLength(1);
  });

  it.each([
    ['301 and a header', refusal(301, 'PermanentRedirect', { 'x-amz-bucket-region': 'eu-west-1' })],
    ['400 and a header', refusal(400, '', { 'x-amz-bucket-region': 'eu-west-1' })],
    ['400 and a region', refusal(400, 'AuthorizationHeaderMalformed', {}, '<Region>eu-west-1</Region>')],
    ['307 and an endpoint', refusal(307, 'TemporaryRedirect', {}, '<Endpoint>bucket.s3.eu-west-1.amazonaws.com</Endpoint>')],
  ])('with the region by %s is put right, for this bucket', async (_name, redirect) => {
    const server = await serve(redirect, ok);
    const transport = transportTo(server, { maxRetries: 0 });
    await transport.put(at, payload, described, noContext);
    await transport.put(at, payload, described, noContext);
    await transport.put({ ...at, bucket: 'another' }, payload, described, noContext);
    expect(server.requests.map(regionOf)).toEqual(['us-east-1', 'eu-west-1', 'eu-west-1', 'us-east-1']);
  });

  it('with the region of the account is corrected', async () => {
    const buckets = answering('<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>');
    const server = await serve(refusal(400, 'AuthorizationHeaderMalformed', {}, '<Region>eu-west-1</Region>'), buckets);
    const transport = transportTo(server, { maxRetries: 0 });
    for (let round = 0; round < 2; round++) await transport.listBuckets({}, noContext);
    expect(server.requests.map(regionOf)).toEqual(['us-east-1', 'eu-west-1', 'eu-west-1']);
  });

  it('with the region a second time is an error', async () => {
    const answers = ['eu-west-1', 'us-east-1'].map((region) => refusal(301, 'PermanentRedirect', { 'x-amz-bucket-region': region }));
    const server = await serve(...answers);
    await expect(transportTo(server).put(at, payload, described, noContext)).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(server.requests).toHaveLength(2);
  });

  it.each(['lean', 'sdk'] as const)('with an unsigned payload makes the %s transport sign all of them', async (transport) => {
    const server = await serve(refusal(400, 'XAmzContentSHA256Mismatch'), ok);
    const store = openStore({ endpoint: server.endpoint, accessKey: 'who', secretKey: 'secret', maxRetries: 0, transport });
    open.push(() => store.connection.close());
    await store.transport.put(at, payload, described, noContext);
    await store.transport.put(at, payload, described, noContext);
    const sum = '0425074d7748edc4faa98177678ef8e16a493504dfa15ca02bcdc56a848aca99';
    expect(server.requests.map(({ headers }) => headers['x-amz-content-sha256'])).toEqual(['UNSIGNED-PAYLOAD', sum, sum]);
  });

  it.each(['lean', 'sdk'] as const)('with several concurrent requests is corrected for each of them (%s)', async (transport) => {
    const both = Promise.withResolvers<void>();
    let bare = 0;
    const server = await serve(async (request, response) => {
      if (request.headers['x-amz-content-sha256'] !== 'UNSIGNED-PAYLOAD') return ok(request, response);
      if (++bare === 2) both.resolve();
      await both.promise;
      return refusal(400, 'XAmzContentSHA256Mismatch')(request, response);
    });
    const store = openStore({ endpoint: server.endpoint, accessKey: 'who', secretKey: 'secret', maxRetries: 0, transport });
    open.push(() => store.connection.close());
    await Promise.all(['a', 'b'].map((key) => store.transport.put({ ...at, key }, payload, described, noContext)));
    expect(server.requests).toHaveLength(4);
  });

  it.each(['lean', 'sdk'] as const)('for a checksum, as buckets with object lock do, gets one from the %s transport', async (transport) => {
    const demand = 'Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters';
    const server = await serve((request, response) => {
      const isBare = request.url?.startsWith('/bucket/') === true && request.headers['content-md5'] === undefined;
      if (!isBare) return ok(request, response);
      const document = `<Error><Code>InvalidRequest</Code><Message>${demand}</Message></Error>`;
      return request.resume().once('end', () => response.writeHead(400).end(document));
    });
    const store = openStore({ endpoint: server.endpoint, accessKey: 'who', secretKey: 'secret', maxRetries: 0, transport });
    open.push(() => store.connection.close());
    await store.transport.put(at, payload, described, noContext);
    await store.transport.uploadPart({ at, uploadId: 'id', number: 1 }, data, noContext);
    await store.transport.put(at, { ...payload, md5: hash('md5', data) }, described, noContext);
    await store.transport.put({ ...at, bucket: 'another' }, payload, described, noContext);
    const md5 = hash('md5', data, 'base64');
    expect(server.requests.map(({ headers }) => headers['content-md5'])).toEqual([undefined, md5, md5, md5, undefined]);
  });

  it('with the checksum of the body means that the bytes changed, and does not affect payload signing', async () => {
    const server = await serve(refusal(400, 'XAmzContentSHA256Mismatch'), ok);
    const transport = transportTo(server);
    const declared = { ...payload, sha256: '0'.repeat(64) };
    await expect(transport.put(at, declared, described, noContext)).rejects.toMatchObject({ code: 'checksum_mismatch' });
    await transport.put(at, payload, described, noContext);
    expect(server.requests.map(({ headers }) => headers['x-amz-content-sha256'])).toEqual([declared.sha256, 'UNSIGNED-PAYLOAD']);
  });

  it('with expired keys is corrected by the credential provider', async () => {
    const server = await serve(refusal(403, 'InvalidAccessKeyId'), ok);
    let asked = 0;
    const credentials = async (): Promise<{ accessKeyId: string; secretAccessKey: string; sessionToken: string }> => ({
      accessKeyId: `key${++asked}`,
      secretAccessKey: 'secret',
      sessionToken: `token${asked}`,
    });
    await transportTo(server, { credentials, maxRetries: 0 }).put(at, payload, described, noContext);
    expect(server.requests.map(({ headers }) => [headers['x-amz-security-token'], /Credential=(\w+)/.exec(headers.authorization ?? '')?.[1]]))
      .toEqual([['token1', 'key1'], ['token2', 'key2']]); // prettier-ignore
  });
});

it('every attempt waits for the pace of the adaptive mode, as long as its caller does', async () => {
  const pacing = vi.spyOn(RetryPolicy.prototype, 'pace').mockImplementation((signal) => untilAborted(paces.shift()!, signal));
  onTestFinished(() => pacing.mockRestore());
  const paces = [Promise.resolve(), new Promise<void>(() => {})];
  const server = await serve(refusal(500, 'InternalError'));
  const caller = new AbortController();
  const put = transportTo(server).put(at, payload, described, caller);
  await expect.poll(() => pacing.mock.calls.length).toBe(2);
  await delay(50);
  caller.abort(new Error('enough'));
  await expect(put).rejects.toThrow('enough');
  expect(server.requests).toHaveLength(1);
});

describe('failures', () => {
  it.each([500, 502, 503, 504])('of %i are tried again', async (status) => {
    const server = await serve(refusal(status, ''), ok);
    expect(await transportTo(server).put(at, payload, described, noContext)).toEqual({ etag: 'made' });
    expect(server.requests.map(({ headers }) => headers['content-length'])).toEqual(['10', '10']);
  });

  it('are tried again also where the global Uint8Array is not that of Buffers, as with jsdom', async () => {
    onTestFinished(() => void vi.unstubAllGlobals());
    const server = await serve(refusal(503, 'SlowDown'), ok);
    vi.stubGlobal('Uint8Array', runInNewContext('Uint8Array'));
    expect(await transportTo(server).put(at, payload, described, noContext)).toEqual({ etag: 'made' });
  });

  it.each(['lean', 'sdk'] as const)('because of another change at the same time are tried again (%s)', async (transport) => {
    const server = await serve(refusal(409, 'OperationAborted'), ok);
    const store = openStore({ endpoint: server.endpoint, accessKey: 'who', secretKey: 'secret', maxRetries: 1, transport });
    open.push(() => store.connection.close());
    await store.administration.setVersioning('bucket', true, noContext);
    expect(server.requests).toHaveLength(2);
  });

  it('that last are the error of the last attempt', async () => {
    const server = await serve(refusal(500, 'InternalError'));
    await expect(transportTo(server, { maxRetries: 2 }).head(at, noContext)).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(server.requests).toHaveLength(3);
  });

  it.each([
    [400, 'InvalidRequest', 'invalid_argument'],
    [404, 'NoSuchBucket', 'no_such_bucket'],
    [412, 'PreconditionFailed', 'precondition_failed'],
    [501, 'NotImplemented', 'not_supported'],
  ])('of %i %s are not', async (status, name, code) => {
    const server = await serve(refusal(status, name));
    await expect(transportTo(server).put(at, payload, described, noContext)).rejects.toMatchObject({ code });
    expect(server.requests).toHaveLength(1);
  });

  it.each([
    [500, 'InternalError', 40],
    [503, 'SlowDown', 110],
  ])('that are occasional cost no retries in the long run (%i %s)', async (status, name, rounds) => {
    vi.spyOn(Math, 'random').mockReturnValue(0); // no waiting
    onTestFinished(() => void vi.restoreAllMocks());
    let asked = 0;
    const server = await serve((request, response) => (asked++ % 2 === 0 ? refusal(status, name) : ok)(request, response));
    const transport = transportTo(server, { maxRetries: 1 });
    for (let round = 0; round < rounds; round++) await transport.put(at, payload, described, noContext);
    expect(asked).toBe(2 * rounds);
  });

  it('are not waited out by a caller who leaves', async () => {
    const server = await serve(refusal(503, 'SlowDown', { 'retry-after': '5' }));
    const caller = new AbortController();
    const put = transportTo(server)
      .put(at, payload, described, caller)
      .catch((error: unknown) => error);
    await expect.poll(() => server.requests.length).toBe(1);
    await delay(50);
    caller.abort(new Error('enough'));
    expect(await Promise.race([put, delay(2000, 'waits', { ref: false })])).toMatchObject({ message: 'enough' });
  });

  it.each([
    [1, 24],
    [40, 40],
  ])('of kept sockets that the server has closed count after a while (%i connections)', async (maxPoolConnections, uncounted) => {
    const server = await serve(ok);
    const settings = settingsOf({ endpoint: server.endpoint, accessKey: 'who', secretKey: 'secret', maxRetries: 1, maxPoolConnections });
    const connection = connect(settings);
    open.push(() => connection.close());
    let attempts = 0;
    const attempt = new LeanClient(settings, connection).attempt({ method: 'GET', at }, undefined, async () => {
      // Not for ever, so that it fails rather than hang.
      throw ++attempts > 100 ? new Error('so many') : new StaleSocketError('closed', { cause: cutError() });
    });
    await expect(attempt).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(attempts).toBe(uncounted + 2);
  });

  it('of a stream are not, since it is gone', async () => {
    const server = await serve(refusal(503, 'SlowDown'), ok);
    const stream = Readable.from([data], { objectMode: false });
    const put = transportTo(server).put(at, { kind: 'stream', stream, size: data.length }, described, noContext);
    await expect(put).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(server.requests).toHaveLength(1);
  });

  it.each([301, 307])('to store a stream because it belongs elsewhere are no success (%i)', async (status) => {
    const server = await serve(refusal(status, '', { location: 'http://127.0.0.1:1/', etag: '"made"' }));
    const stream = Readable.from([data], { objectMode: false });
    const put = transportTo(server).put(at, { kind: 'stream', stream, size: data.length }, described, noContext);
    await expect(put).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(server.requests).toHaveLength(1);
  });

  it('of a kept socket that the server has closed do not count, even without retries', async () => {
    const server = await serve(ok, (request) => request.socket.destroy(), ok);
    const transport = transportTo(server, { maxRetries: 0 });
    await transport.put(at, payload, described, noContext);
    await transport.put(at, payload, described, noContext);
    expect([server.requests.length, server.connections()]).toEqual([3, 2]);
  });

  it('of a server that hangs up on each request are made once more, however many sockets were kept', async () => {
    let isUp = true;
    const server = await serve((request, response) => {
      if (isUp) setTimeout(() => void ok(request, response), 50);
      else request.socket.destroy();
    });
    const transport = transportTo(server, { maxRetries: 0, maxPoolConnections: 8 });
    await Promise.all(Array.from({ length: 8 }, () => transport.put(at, payload, described, noContext)));
    isUp = false;
    await expect(transport.put(at, payload, described, noContext)).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect([server.connections(), server.requests.length]).toEqual([9, 10]);
  });

  it('of a new socket are not taken for those of a kept one', async () => {
    const server = await serve((request) => request.socket.destroy());
    await expect(transportTo(server, { maxRetries: 0 }).head(at, noContext)).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(server.requests).toHaveLength(1);
  });

  it('to answer in time are read_timeout', async () => {
    const server = await serve((request) => request.resume());
    await expect(transportTo(server, { maxRetries: 0, timeout: 1 }).head(at, noContext)).rejects.toMatchObject({ code: 'read_timeout' });
  });

  it('to get through a handshake in time are connect_timeout', async () => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const endpoint = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const store = openStore({ endpoint, accessKey: 'who', secretKey: 'secret', maxRetries: 0, timeout: 0.2 });
    open.push(() => {
      store.connection.close();
      server.close();
    });
    await expect(store.transport.head(at, noContext)).rejects.toMatchObject({ code: 'connect_timeout' });
  });

  it('with long documents are not read to the end', async () => {
    const server = await serve((_request, response) => {
      response.writeHead(403);
      response.write('<Error><Code>AccessDenied</Code>');
      const timer = setInterval(() => response.write('x'.repeat(50_000)), 5);
      response.once('close', () => clearInterval(timer));
    });
    await expect(transportTo(server).get(at, {}, noContext)).rejects.toMatchObject({ code: 'access_denied' });
  });

  it('reported before a stream has ended stop it', async () => {
    const server = await serve((_request, response) => {
      response.writeHead(413).end('<Error><Code>EntityTooLarge</Code></Error>');
    });
    const endless = new Readable({ read: () => {} });
    endless.push(data);
    const put = transportTo(server).put(at, { kind: 'stream', stream: endless, size: 1e9 }, described, noContext);
    await expect(put).rejects.toMatchObject({ code: 'payload_too_large' });
    await expect.poll(() => server.requests[0]?.socket.destroyed).toBe(true);
    endless.destroy();
  });
});

it('a stream uses the connection that a body in memory has left, if there is only one', async () => {
  const server = await serve(ok);
  const transport = transportTo(server, { maxPoolConnections: 1 });
  const stream = () => ({ kind: 'stream', stream: Readable.from([data], { objectMode: false }), size: data.length }) as const;
  for (const body of [payload, stream(), payload, stream()]) await transport.put(at, body, described, noContext);
  expect([server.requests.length, server.connections()]).toEqual([4, 1]);
});

it('a stream waits for a connection no longer than the timeout', async () => {
  const server = await serve((_request, response) => {
    response.writeHead(200, { etag: '"made"', 'content-length': 1_000_000 });
    const dripping = setInterval(() => response.write('x'), 20);
    response.once('close', () => clearInterval(dripping));
  });
  const transport = transportTo(server, { maxRetries: 0, maxPoolConnections: 1, timeout: 0.5 });
  const read = await transport.get(at, {}, noContext);
  if (read.kind !== 'object') throw new Error('not modified');
  const stream = Readable.from([data], { objectMode: false });
  const put = transport.put(at, { kind: 'stream', stream, size: data.length }, described, noContext);
  await expect(put).rejects.toMatchObject({ code: 'connect_timeout' });
  read.body.destroy();
});

it.each<[string, Answer, string]>([
  ['its answer', (request) => request.resume(), 'read_timeout'],
  ['the rest of it', (request, response) => void request.resume().once('end', () => response.write('<')), 'storage_unavailable'],
])('a stream waits for %s no longer than the timeout', async (_what, answer, code) => {
  const stream = Readable.from([data], { objectMode: false });
  const put = transportTo(await serve(answer), { timeout: 0.5 }).put(
    at,
    { kind: 'stream', stream, size: data.length },
    described,
    noContext,
  );
  await expect(put).rejects.toMatchObject({ code });
});

it('a stream that is answered before it has ended holds no connection', async () => {
  const server = await serve((_request, response) => response.writeHead(200, { etag: '"made"' }).end());
  const endless = new Readable({ read: () => {} });
  endless.push(data);
  const put = transportTo(server).put(at, { kind: 'stream', stream: endless, size: 1e9 }, described, noContext);
  expect(await put).toEqual({ etag: 'made' });
  endless.destroy();
  await expect.poll(() => server.requests[0]?.socket.destroyed).toBe(true);
});

it('a stream may take longer than the timeout while it flows', async () => {
  const slow = Readable.from(
    (async function* () {
      for (const byte of data) {
        await delay(100);
        yield Buffer.of(byte);
      }
    })(),
    { objectMode: false },
  );
  const transport = transportTo(await serve(ok), { timeout: 0.5 });
  const put = transport.put(at, { kind: 'stream', stream: slow, size: data.length }, described, noContext);
  expect(await put).toEqual({ etag: 'made' });
});

it('a stream that is given up leaves no connection, no listener, and nothing to be sent later', async () => {
  const server = await serve((request) => request.resume(), ok);
  const transport = transportTo(server, { maxPoolConnections: 1 });
  const put = (signal: AbortSignal) => {
    const stream = Readable.from([data], { objectMode: false });
    return transport.put(at, { kind: 'stream', stream, size: data.length }, described, { signal });
  };
  const [sent, waiting, kept] = [new AbortController(), new AbortController(), new AbortController()] as const;
  const outcome = Promise.allSettled([put(sent.signal), put(waiting.signal)]);
  await expect.poll(() => server.requests.length).toBe(1);
  waiting.abort();
  sent.abort();
  expect((await outcome).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  await expect.poll(() => server.requests[0]?.socket.destroyed).toBe(true);
  expect(await put(kept.signal)).toEqual({ etag: 'made' });
  expect([server.requests.length, getEventListeners(kept.signal, 'abort')]).toEqual([2, []]);
});

it('the page of a proxy that answers a stream holds no connection', async () => {
  const server = await serve((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'text/html' }).write('<html>');
  });
  const stream = Readable.from([data], { objectMode: false });
  const put = transportTo(server).put(at, { kind: 'stream', stream, size: data.length }, described, noContext);
  await expect(put).rejects.toMatchObject({ code: 'storage_unavailable' });
  await expect.poll(() => server.requests[0]?.socket.destroyed).toBe(true);
});
