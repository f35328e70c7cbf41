import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { RawConnection } from './testing/raw-http.ts';
import type { RawAnswer } from './testing/raw-http.ts';
import { startApi } from './testing/start-api.ts';
import type { TestApi } from './testing/start-api.ts';
import { admin } from './testing/tokens.ts';

function expectTimedOut({ status, headers, body }: RawAnswer): void {
  expect({ status, headers }).toMatchObject({
    status: 408,
    headers: { connection: 'close', 'content-type': 'application/problem+json', date: expect.stringMatching(/ GMT$/) },
  });
  expect(JSON.parse(body)).toMatchObject({
    status: 408,
    title: 'Request Timeout',
    code: 'validation_failed',
    detail: 'The body stopped coming.',
  });
}

describe('a connection on which nothing moves', () => {
  let api: TestApi;
  let authorization: string;

  beforeAll(async () => {
    api = await startApi({ STORAGE_TIMEOUT: '1' });
    ({ authorization } = await admin());
    // Bypasses the API, which on a machine under load would cut an upload that stalls for a second.
    await api.runtime.storage.uploadFile({ key: 'large', body: randomBytes(20_000_000) });
  });
  afterAll(() => api.stop());

  const begin = async (text: string): Promise<RawConnection> => {
    const connection = await RawConnection.open(api.url);
    await connection.write(text);
    return connection;
  };

  it('in an upload is answered and cut, and one that is only slow is not', async () => {
    const head = `PUT /api/v1/storage/objects/slow HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Length: 8\r\n\r\n`;
    const stalled = await begin(`${head}1234`);
    const slow = await begin(head);
    for (const byte of '12345678') {
      await new Promise((resolve) => setTimeout(resolve, 150));
      await slow.write(byte);
    }
    expect(await slow.answer()).toMatchObject({ status: 201 });
    slow.destroy();
    expectTimedOut(await stalled.answer());
    expect(await stalled.closesInTime(6000)).toBe(true);
    expect((await api.send('GET', '/api/v1/storage/objects/slow', { headers: { authorization } })).text).toBe('12345678');
  });

  it('between requests stays for longer than load balancers keep theirs', async () => {
    const idle = await begin('GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n');
    const { 'keep-alive': told = '' } = (await idle.answer()).headers;
    expect(Number(/timeout=(\d+)/.exec(told)?.[1])).toBeGreaterThan(600); // the idle timeout of Google's load balancers
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await idle.write('GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(await idle.answer()).toMatchObject({ status: 200 });
    idle.destroy();
  });

  const part = '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n1234';
  it.each([
    ['a form', 'POST /api/v1/files/upload', `Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 500\r\n\r\n${part}`],
    ['a body of unknown length', 'PUT /api/v1/storage/objects/stalled', 'Transfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n'],
    ['a body that was asked for', 'PUT /api/v1/storage/objects/stalled', 'Expect: 100-continue\r\nContent-Length: 8\r\n\r\n'],
    ['a connection that would end anyway', 'PUT /api/v1/storage/objects/stalled', 'Connection: close\r\nContent-Length: 8\r\n\r\n12'],
    ['a page of another origin', 'PUT /api/v1/storage/objects/stalled', 'Origin: http://app.test\r\nContent-Length: 8\r\n\r\n12'],
  ])('in an upload is answered and cut: %s', async (what, line, rest) => {
    const connection = await begin(
      `${line} HTTP/1.1\r\nHost: a\r\nX-Request-ID: ${line.length}\r\nAuthorization: ${authorization}\r\n${rest}`,
    );
    const answer = await connection.answer();
    expectTimedOut(answer);
    expect(answer.headers['x-request-id']).toBe(`${line.length}`);
    if (what.startsWith('a page')) expect(answer.headers).toMatchObject({ 'access-control-allow-origin': '*' });
    expect(await connection.closesInTime(6000)).toBe(true);
    expect((await api.send('GET', '/api/v1/storage/objects/stalled', { headers: { authorization } })).status).toBe(404);
    expect(await api.send('GET', '/api/v1/files', { headers: { authorization } })).toMatchObject({ status: 200, json: { files: [] } });
  });

  it('in a second upload, sent before the first was answered, is answered after it', async () => {
    const head = `PUT /api/v1/storage/objects/second HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Length: 8\r\n\r\n`;
    const connection = await begin(`${head}12345678${head}1234`);
    expect(await connection.answer()).toMatchObject({ status: 201 });
    expectTimedOut(await connection.answer());
    expect(await connection.closesInTime(6000)).toBe(true);
  });

  it.each(['raw', 'form'])('in an upload is kept while the storage accepts no more (%s)', async (kind) => {
    const { storage } = api.runtime;
    const uploadFile = storage.uploadFile.bind(storage);
    vi.spyOn(storage, 'uploadFile').mockImplementationOnce(async (...given) => {
      await new Promise((resolve) => setTimeout(resolve, 3000));
      return uploadFile(...given);
    });
    const bytes = randomBytes(5_000_000);
    const part = '--b\r\nContent-Disposition: form-data; name="file"; filename="late"\r\nContent-Type: a/b\r\n\r\n';
    const form = Buffer.concat([Buffer.from(part), bytes, Buffer.from('\r\n--b--\r\n')]);
    const answer =
      kind === 'raw'
        ? await api.send('PUT', '/api/v1/storage/objects/late', { headers: { authorization }, body: bytes })
        : await api.send('POST', '/api/v1/files/upload', {
            headers: { authorization, 'content-type': 'multipart/form-data; boundary=b' },
            body: form,
          });
    expect(answer.status).toBe(201);
    expect(JSON.parse(answer.text)).toMatchObject({ size_bytes: bytes.length });
  });

  it('in an upload gets the full time again once the storage reads on', async () => {
    const { storage } = api.runtime;
    const uploadFile = storage.uploadFile.bind(storage);
    vi.spyOn(storage, 'uploadFile').mockImplementationOnce(async (...given) => {
      await new Promise((resolve) => setTimeout(resolve, 1900)); // a tenth of a second before the next check of the socket
      return uploadFile(...given);
    });
    const head = `PUT /api/v1/storage/objects/anew HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Length: 1000000\r\n\r\n`;
    const connection = await begin(head + 'x'.repeat(30_000));
    await new Promise((resolve) => setTimeout(resolve, 2500));
    await connection.write('x'.repeat(970_000));
    expect(await connection.answer()).toMatchObject({ status: 201 });
    connection.destroy();
  });

  it('in an upload is cut when the storage was slow and nothing comes afterwards either', async () => {
    const { storage } = api.runtime;
    const uploadFile = storage.uploadFile.bind(storage);
    vi.spyOn(storage, 'uploadFile').mockImplementationOnce(async (...given) => {
      await new Promise((resolve) => setTimeout(resolve, 2500));
      return uploadFile(...given);
    });
    const head = `PUT /api/v1/storage/objects/gone HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Length: 5000000\r\n\r\n`;
    const connection = await begin(head + 'x'.repeat(30_000));
    expectTimedOut(await connection.answer());
    expect(await connection.closesInTime(8000)).toBe(true);
    expect((await api.send('GET', '/api/v1/storage/objects/gone', { headers: { authorization } })).status).toBe(404);
  });

  it('in an upload is not cut for the time in which this process stood still, if bytes have come since', async () => {
    const head = `PUT /api/v1/storage/objects/paused HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Length: 8\r\n\r\n`;
    const connection = await begin(`${head}1234`);
    await api.send('GET', '/health/live'); // by now, the upload has begun
    connection.socket.write('5678');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500); // as in a paused container
    expect(await connection.answer()).toMatchObject({ status: 201 });
    connection.destroy();
  });

  it('in a download is cut', async () => {
    const connection = await begin(`GET /api/v1/storage/objects/large HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\n\r\n`);
    connection.socket.pause();
    const open = (): Promise<number> => new Promise((resolve) => api.server.getConnections((_error, count) => resolve(count)));
    const before = await open();
    for (let tries = 0; (await open()) >= before && tries < 50; tries++) await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await open()).toBe(before - 1);
    connection.destroy();
  });

  it('in a download whose request is not whole is cut, with no other answer in it', async () => {
    const taken = once(api.server, 'connection');
    const connection = await begin('');
    const [served] = (await taken) as [Socket];
    connection.socket.pause();
    await connection.write(
      `GET /api/v1/storage/objects/large HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    await once(served, 'timeout');
    connection.socket.resume();
    await expect(connection.answer()).rejects.toThrow('The connection ended without an answer: HTTP/1.1 200 OK');
    expect(connection.received).not.toContain('HTTP/1.1 408');
  });

  /** A PUT with 2 bytes that runs until the head after it is late, after one second. */
  function untilHeadIsLate(): { readonly put: string; readonly late: Promise<void> } {
    const { storage } = api.runtime;
    const uploadFile = storage.uploadFile.bind(storage);
    const late = Promise.withResolvers<void>();
    const { headersTimeout } = api.server;
    api.server.headersTimeout = 1000;
    api.server.once('clientError', ({ code }: NodeJS.ErrnoException) => {
      if (code !== 'ERR_HTTP_REQUEST_TIMEOUT') return;
      api.server.headersTimeout = headersTimeout;
      late.resolve();
    });
    vi.spyOn(storage, 'uploadFile').mockImplementationOnce(async (...given) => {
      await late.promise;
      return uploadFile(...given);
    });
    const head = `PUT /api/v1/storage/objects/first HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Length: 2\r\n\r\n`;
    return { put: `${head}ab`, late: late.promise };
  }

  it('with the rest of a head that is not read while other requests wait is not cut', async () => {
    const { put, late } = untilHeadIsLate();
    const get = 'GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n';
    const connection = await begin(put + get.repeat(40) + get.slice(0, 30));
    await late;
    await connection.write(get.slice(30));
    expect(await connection.answer()).toMatchObject({ status: 201 });
    for (let answers = 0; answers < 41; answers++) expect(await connection.answer()).toMatchObject({ status: 200 });
    connection.destroy();
  });

  it('with half a head behind a request that is under way is cut once that is answered', async () => {
    const { put } = untilHeadIsLate();
    const connection = await begin(`${put}GET /health/live HTTP/1.1\r\n`);
    expect(await connection.answer()).toMatchObject({ status: 201 });
    expect(await connection.answer()).toMatchObject({ status: 408 });
    expect(await connection.closesInTime()).toBe(true);
  });

  it('before any request is cut', async () => {
    expect(api.server).toMatchObject({ headersTimeout: 15_000, requestTimeout: 0 }); // docs/operations.md
    expect(await (await begin('')).closesInTime(6000)).toBe(true);
    expect(await (await begin('GET /health/live HTTP/1.1\r\nHost:')).closesInTime(6000)).toBe(true);
  });
});
