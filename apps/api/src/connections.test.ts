import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { Socket } from 'node:net';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { answerAfterAll, askRaw, RawConnection } from './testing/raw-http.ts';
import { startApi } from './testing/start-api.ts';
import type { TestApi } from './testing/start-api.ts';
import { admin, as } from './testing/tokens.ts';

describe('a connection to the server', () => {
  let api: TestApi;
  let root: { authorization: string };

  beforeAll(async () => {
    api = await startApi();
    root = await admin();
  });
  afterAll(() => api.stop());

  it('serves the next request of a connection after a problem', async () => {
    const { authorization } = await as('ann');
    const connection = await RawConnection.open(api.url);
    const head = (method: string, path: string, rest: string): string =>
      `${method} ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\n${rest}`;
    await connection.write(head('POST', '/api/v1/files/upload', 'Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello'));
    expect(await connection.answer()).toMatchObject({ status: 415 });
    await connection.write(head('PATCH', '/api/v1/files/nothing', 'Content-Type: application/json\r\nContent-Length: 5\r\n\r\nhello'));
    expect(await connection.answer()).toMatchObject({ status: 400 });
    await connection.write(
      head('POST', '/api/v1/files/upload', 'Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'),
    );
    expect(await connection.answer()).toMatchObject({ status: 415 });
    const form = 'Content-Type: multipart/form-data; boundary=b\r\n';
    for (const body of [
      'nonsense',
      '--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n--b--',
      `--b\r\nContent-Disposition: form-data\r\n\r\n${'x'.repeat(10_000)}`,
    ]) {
      await connection.write(head('POST', '/api/v1/files/upload', `${form}Content-Length: ${body.length}\r\n\r\n${body}`));
      expect(await connection.answer()).toMatchObject({ status: 400 });
    }
    await connection.write(head('GET', '/api/v1/files', '\r\n'));
    expect(await connection.answer()).toMatchObject({ status: 200 });
    connection.destroy();
  });

  it('takes the requests of a connection one after the other', async () => {
    const head = (method: string, rest = '\r\n'): string =>
      `${method} /api/v1/storage/objects/in-turn HTTP/1.1\r\nHost: a\r\nAuthorization: ${root.authorization}\r\n${rest}`;
    const connection = await RawConnection.open(api.url);
    await connection.write(head('PUT', 'Content-Length: 5\r\n\r\nhello') + head('GET') + head('DELETE') + head('GET'));
    expect(await connection.answer()).toMatchObject({ status: 201 });
    expect(await connection.answer()).toMatchObject({ status: 200, body: 'hello' });
    expect(await connection.answer()).toMatchObject({ status: 204 });
    expect(await connection.answer()).toMatchObject({ status: 404 });
    connection.destroy();
  });

  it('answers the requests of a connection before it refuses what follows them', async () => {
    const put = `PUT /api/v1/storage/objects/in-turn HTTP/1.1\r\nHost: a\r\nAuthorization: ${root.authorization}\r\nContent-Length: 5\r\n\r\nhello`;
    const connection = await RawConnection.open(api.url);
    await connection.write(`${put}GET /health/live HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\nGARBAGE\r\n\r\n`);
    expect(await connection.answer()).toMatchObject({ status: 201 });
    expect(await connection.answer()).toMatchObject({ status: 417 });
    const { status, body } = await connection.answer();
    expect({ status, ...JSON.parse(body) }).toMatchObject({
      status: 400,
      code: 'validation_failed',
      detail: 'That is not an HTTP request.',
    });
    expect(await connection.closesInTime()).toBe(true);

    const answered = await RawConnection.open(api.url);
    await answered.write(put);
    expect(await answered.answer()).toMatchObject({ status: 201 });
    await answered.write('GARBAGE\r\n\r\n');
    expect(await answered.answer()).toMatchObject({ status: 400 });
  });

  it('writes no refusal into an answer that is under way', async () => {
    await api.send('PUT', '/api/v1/storage/objects/long', { headers: root, body: Buffer.alloc(10_000_000) });
    const connection = await RawConnection.open(api.url);
    connection.socket.pause();
    const begun = once(api.server, 'request');
    await connection.write(
      `GET /api/v1/storage/objects/long HTTP/1.1\r\nHost: a\r\nAuthorization: ${root.authorization}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    const [, outgoing] = (await begun) as [unknown, ServerResponse];
    await expect.poll(() => outgoing.socket?.bytesWritten).toBeGreaterThan(0);
    await connection.write('no chunk\r\n');
    connection.socket.resume();
    await expect(connection.answer()).rejects.toThrow('The connection ended without an answer: HTTP/1.1 200 OK');
    expect(connection.received).not.toContain('HTTP/1.1 400');
  });

  it('holds a body of tiny chunks in a few pieces, since each piece takes hundreds of bytes', async () => {
    let pieces = 0;
    const count = (): void => void pieces++;
    api.server.once('request', (incoming: IncomingMessage) => {
      // Not before the server reads: the body would flow away.
      incoming.on('newListener', (event, listener) => {
        if (event === 'data' && listener !== count && pieces === 0) incoming.on('data', count);
      });
    });
    const sizes = [...Array.from({ length: 20_000 }, () => 1), 5000, 1, 2, 1023, 1024, 3];
    const chunks = sizes.map((size, index) => String.fromCharCode(97 + (index % 26)).repeat(size));
    const framed = [...chunks, ''].map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('');
    const { status, connection } = await askRaw(
      api.url,
      `PUT /api/v1/storage/objects/pieces HTTP/1.1\r\nHost: a\r\nAuthorization: ${root.authorization}\r\nTransfer-Encoding: chunked\r\n\r\n${framed}`,
    );
    expect(status).toBe(201);
    expect(pieces).toBeLessThan(1000);
    const { text } = await api.send('GET', '/api/v1/storage/objects/pieces', { headers: root });
    expect(text === chunks.join('')).toBe(true);
    connection.destroy();
  });

  it('takes no body in a transfer coding that it cannot undo', async () => {
    for (const [method, path, type] of [
      ['PUT', '/api/v1/storage/objects/coded', 'text/plain'],
      ['POST', '/api/v1/storage/objects/coded', 'multipart/form-data; boundary=b'],
      ['POST', '/api/v1/storage/delete', 'application/json'],
    ] as const) {
      const { status, body, connection } = await askRaw(
        api.url,
        `${method} ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: ${root.authorization}\r\nContent-Type: ${type}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
      );
      expect({ status, ...JSON.parse(body) }).toMatchObject({ status: 415, code: 'unsupported_media_type' });
      connection.destroy();
    }
  });

  it('accepts nothing after a chunked HTTP/1.0 request, since a proxy may have framed it differently', async () => {
    const { connection, ...answer } = await askRaw(
      api.url,
      'POST /health/live HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /health/live HTTP/1.1\r\nHost: a\r\n\r\n',
    );
    expect(answer).toMatchObject({ status: 405, headers: { connection: 'close' } });
    expect(await connection.closesInTime(5000)).toBe(true);
    expect(connection.received).toBe('');
  });

  it('does not ask for the body of a request that is refused anyway', async () => {
    const head = 'PUT /api/v1/storage/objects/big HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n';
    const refused = await RawConnection.open(api.url);
    await refused.write(`${head}\r\n`);
    expect(await refused.answer()).toMatchObject({ status: 401 });
    refused.destroy();

    const taken = await RawConnection.open(api.url);
    await taken.write(`${head}Authorization: ${root.authorization}\r\n\r\n`);
    await expect(taken.answer({ timeoutMs: 300 })).rejects.toThrow('No answer in time');
    await taken.write('hello');
    expect(await taken.answer()).toMatchObject({ status: 201 });
    taken.destroy();
  });

  it('ends the connection after refusing an expectation, rather than take the next request for the body', async () => {
    const connection = await RawConnection.open(api.url);
    await connection.write('PUT /api/v1/storage/objects/big HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\nContent-Length: 5\r\n\r\n');
    expect(await connection.answer()).toMatchObject({ status: 417, headers: { connection: 'close' } });
    connection.destroy();
  });

  // As Java's client does without TLS.
  describe('of a client that asks for HTTP/2', () => {
    const asking = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n';
    const put = (key: string, length: number): string =>
      `PUT /api/v1/storage/objects/${key} HTTP/1.1\r\nHost: a\r\n${asking}Authorization: ${root.authorization}\r\nContent-Length: ${length}\r\n`;

    it.each([
      ['upload', 'PUT', '', 'hello'],
      [
        'form',
        'POST',
        'Content-Type: multipart/form-data; boundary=b\r\n',
        '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhello\r\n--b--\r\n',
      ],
    ])('takes one %s after the other', async (_name, method, type, body) => {
      const connection = await RawConnection.open(api.url);
      for (const key of ['one', 'two']) {
        await connection.write(`${put(key, body.length).replace('PUT', method)}${type}\r\n${body}`);
        const answer = await connection.answer();
        expect(answer).toMatchObject({ status: 201 });
        expect(answer.headers).not.toHaveProperty('connection', 'close');
      }
      connection.destroy();
    });

    it('keeps the connection of a request without a body', async () => {
      const connection = await RawConnection.open(api.url);
      const preflight = 'OPTIONS / HTTP/1.1\r\nOrigin: http://app.test\r\nAccess-Control-Request-Method: PUT\r\n';
      for (const head of [preflight, 'GET /health/live HTTP/1.1\r\n']) {
        await connection.write(`${head}Host: a\r\n${asking}\r\n`);
        expect((await connection.answer()).headers).not.toHaveProperty('connection', 'close');
      }
      connection.destroy();
    });

    it.each(['of known length', 'in chunks'])(
      'takes what comes behind the body of a refused upload, or says that it does not (%s)',
      async (how) => {
        const connection = await RawConnection.open(api.url);
        const data = 'x'.repeat(100_000);
        const piece = how === 'in chunks' ? `${data.length.toString(16)}\r\n${data}\r\n0\r\n\r\n` : data;
        const head = put('refused?storage_class=NONE', piece.length);
        await connection.write(`${how === 'in chunks' ? head.replace(/Content-Length: .*/, 'Transfer-Encoding: chunked') : head}\r\n`);
        const refused = await connection.answer();
        expect(refused).toMatchObject({ status: 400, headers: { connection: 'close' } });
        await connection.write(`${piece}GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n`);
        expect(await connection.closesInTime(5000)).toBe(true);
      },
    );
  });

  it('refuses a large upload at once, and ends the connection rather than read it', async () => {
    for (const [path, authorization, status] of [
      ['/api/v1/files/upload', '', 401],
      ['/api/v1/storage/objects/big', '', 401],
      ['/api/v1/storage/objects/big?bucket=no-such-bucket', `Authorization: ${root.authorization}\r\n`, 404],
      ['/local/coffer-uploads/big', '', 403],
      ['/api/v1/storage/objects/%00', `Authorization: ${root.authorization}\r\n`, 400],
      ['/api/v1/storage/objects/big', `Authorization: ${root.authorization}\r\n`, 413],
      ['/api/v1/files/upload', `Authorization: ${root.authorization}\r\nContent-Type: multipart/form-data; boundary=b\r\n`, 413],
    ] as const) {
      const connection = await RawConnection.open(api.url);
      await connection.write(
        `${path.includes('files') ? 'POST' : 'PUT'} ${path} HTTP/1.1\r\nHost: a\r\n${authorization}Content-Length: ${status === 413 ? 6 : 5}000000000\r\n\r\n`,
      );
      await connection.write(Buffer.alloc(1_000_000));
      expect(await connection.answer()).toMatchObject({ status });
      const sending = setInterval(() => void connection.write(Buffer.alloc(65_536)), 5);
      expect(await connection.closesInTime(5000)).toBe(true);
      clearInterval(sending);
    }
  });

  it.each([
    ['is refused', 401, 'PUT', '', 'Connection: close'],
    ['is refused by the route', 400, 'PUT', 'auth', 'Connection: close'],
    ['is refused', 401, 'PUT', '', 'Expect: 100-continue'],
    ['sends what nobody reads', 204, 'DELETE', 'auth', 'Connection: keep-alive'],
  ])('answers whoever sends on although it $0, with $4', async (_name, status, method, auth, field) => {
    const token = auth === '' ? '' : `Authorization: ${root.authorization}\r\n`;
    const path = `/api/v1/storage/objects/late${method === 'PUT' ? '?storage_class=NONE' : ''}`;
    const answer = await answerAfterAll(api.url, `${method} ${path} HTTP/1.1\r\nHost: x\r\n${field}\r\n${token}`);
    expect(answer.split(' ')[1]).toBe(`${status}`);
  });

  // Otherwise a client sends its next request, such as the same one with a new token, after a body that takes longer than the server waits;
  // and a proxy whose client has gone by then may send another client's request in place of the rest.
  it.each([
    ['an object of five bytes', 401, 'PUT /api/v1/storage/objects/rest', 'Content-Length: 5'],
    ['an object in chunks', 401, 'PUT /api/v1/storage/objects/rest', 'Transfer-Encoding: chunked'],
    ['a JSON body', 401, 'POST /api/v1/storage/delete', 'Content-Length: 50'],
    ['a small form', 401, 'POST /api/v1/files/upload', 'Content-Length: 500'],
    ['five bytes of a link', 403, 'PUT /local/coffer-uploads/rest', 'Content-Length: 5'],
    ['a form', 401, 'POST /api/v1/files/upload', 'Content-Length: 5000000'],
    ['an object', 401, 'PUT /api/v1/storage/objects/rest', 'Content-Length: 5000000'],
    ['an object for another bucket', 404, 'PUT /api/v1/storage/objects/rest?bucket=no-such-bucket', 'Content-Length: 5000000'],
    ['the bytes of a link', 403, 'PUT /local/coffer-uploads/rest', 'Content-Length: 5000000'],
  ])('says that nothing is taken behind the rest of %s that is refused', async (_name, expected, target, length) => {
    const connection = await RawConnection.open(api.url);
    const token = expected === 404 ? `Authorization: ${root.authorization}\r\n` : '';
    const type = 'Content-Type: multipart/form-data; boundary=b\r\n';
    await connection.write(`${target} HTTP/1.1\r\nHost: a\r\n${token}${type}${length}\r\n\r\n`);
    const { status, headers } = await connection.answer();
    expect({ status, connection: headers['connection'] }).toEqual({ status: expected, connection: 'close' });
    await connection.write('5\r\nhello\r\n');
    expect(await connection.closesInTime(5000)).toBe(true);
  });

  it.each([
    ['GET', '/health/live', 200],
    ['OPTIONS', '/api/v1/files', 204],
    ['DELETE', '/api/v1/storage/objects/no-such-object', 204],
  ])('says that nothing is taken behind the body of a %s, which nobody reads', async (method, path, expected) => {
    const connection = await RawConnection.open(api.url);
    await connection.write(`${method} ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: ${root.authorization}\r\nContent-Length: 5\r\n\r\n1`);
    const { status, headers } = await connection.answer();
    expect({ status, connection: headers['connection'] }).toEqual({ status: expected, connection: 'close' });
    expect(await connection.closesInTime(5000)).toBe(true);
  });

  it.each([
    ['a file', '/api/v1/files/upload', 201],
    ['an object', '/api/v1/storage/objects/form', 201],
    ['what was presigned', '/local/coffer-uploads', 204],
  ])('says that nothing is taken behind %s in a form that is stored before its own end has come', async (_what, path, expected) => {
    const { json: begun } = await api.send('POST', '/api/v1/files/presigned-upload', {
      headers: await as('ann'),
      json: { filename: 'a.txt', content_type: 'text/plain', size_bytes: 5 },
    });
    const fields: Record<string, string> = path.startsWith('/local/') ? begun.upload_fields : {};
    const part = (head: string, value: string): string => `--b\r\nContent-Disposition: form-data; ${head}\r\n\r\n${value}\r\n`;
    const parts = Object.entries(fields).map(([name, value]) => part(`name="${name}"`, value));
    const form = `${parts.join('')}${part('name="file"; filename="a.txt"', 'hello')}--b--\r\n`;
    const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: ${root.authorization}\r\nContent-Type: multipart/form-data; boundary=b\r\n`;
    const send = async (rest: string) => {
      const connection = await RawConnection.open(api.url);
      await connection.write(`${head}${rest}`);
      const { status, headers } = await connection.answer();
      expect(status).toBe(expected);
      return { connection, closes: headers['connection'] === 'close' };
    };
    const chunks = `Transfer-Encoding: chunked\r\n\r\n${form.length.toString(16)}\r\n${form}\r\n`;
    for (const framed of [`Content-Length: ${form.length + 5}\r\n\r\n${form}`, chunks]) {
      const { connection, closes } = await send(framed);
      expect(closes).toBe(true);
      expect(await connection.closesInTime(5000)).toBe(true);
    }
    for (const framed of [`Content-Length: ${form.length}\r\n\r\n${form}`, `${chunks}0\r\n\r\n`]) {
      const { connection, closes } = await send(framed);
      expect(closes).toBe(false);
      connection.destroy();
    }
  });

  it('takes the next request behind a large body that is all here, and behind a small one that came with its head', async () => {
    const connection = await RawConnection.open(api.url);
    const big = 'x'.repeat(3_000_000);
    const token = `Authorization: ${root.authorization}\r\n`;
    for (const [path, fields, body, status] of [
      ['/api/v1/storage/objects/rest', '', 'hello', 401],
      ['/api/v1/storage/objects/rest', token, big, 201],
      ['/local/coffer-uploads/rest', '', 'hello', 403],
      ['/local/coffer-uploads/rest', 'Host: b\r\n', 'hello', 400],
    ] as const) {
      await connection.write(`PUT ${path} HTTP/1.1\r\nHost: a\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`);
      const answer = await connection.answer();
      expect(answer).toMatchObject({ status });
      expect(answer.headers).not.toHaveProperty('connection', 'close');
    }
    await connection.write('GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(await connection.answer()).toMatchObject({ status: 200 });
    connection.destroy();
  });

  it('does not wait for a refused client that leaves its half of the connection open', async () => {
    const taken = once(api.server, 'connection');
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(api.url).port), allowHalfOpen: true });
    const [served] = (await taken) as [Socket];
    socket.write('hello\r\n\r\n');
    expect((await once(socket, 'data')).toString()).toMatch(/^HTTP\/1.1 400 /);
    await expect.poll(() => served.destroyed, { timeout: 10_000 }).toBe(true); // less than the 15 s for request heads
    socket.destroy();
  });
});
