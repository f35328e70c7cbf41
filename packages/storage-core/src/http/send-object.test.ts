import { once } from 'node:events';
import { Agent, createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { wholeBody } from '../body/whole-body.ts';
import { noContext } from '../context.ts';
import { isStorageError, storageError } from '../errors.ts';
import type { StorageErrorCode } from '../errors.ts';
import { memoryBackend } from '../memory-backend.ts';
import type { GetOptions, GetResult, ObjectInfo } from '../object.ts';
import { objectHeaders, sendObject, sendObjectHead } from './send-object.ts';
import type { SendOptions } from './send-object.ts';

const at = { bucket: 'suite', key: 'sent' };
const text = 'twenty-six bytes of prose.';
const status: Partial<Record<StorageErrorCode, number>> = {
  file_not_found: 404,
  precondition_failed: 412,
  range_not_satisfiable: 416,
  invalid_argument: 400,
};

const streamOf = (bytes: Buffer): Readable => Readable.from([bytes], { objectMode: false });
const endlessStreamOf = (bytes: Buffer): Readable => {
  const stream = new Readable({ read() {} });
  stream.push(bytes);
  return stream;
};
const backend = memoryBackend({ buckets: ['suite'] });
let open: (options: GetOptions) => Promise<GetResult>;
let sendOptions: SendOptions;
let opened: GetOptions[] = [];
let sends: Promise<void>[] = [];
let info: ObjectInfo;
let server: Server;
let base = '';

beforeAll(async () => {
  server = createServer((request, response) => {
    const send = async (): Promise<void> => {
      if (request.method === 'HEAD') return sendObjectHead(request, response, await backend.head(at, noContext), sendOptions);
      return sendObject(
        request,
        response,
        (options) => {
          opened.push(options);
          return open(options);
        },
        sendOptions,
      );
    };
    sends.push(
      send().catch((error: unknown) => {
        response.writeHead(isStorageError(error) ? (status[error.code] ?? 500) : 500).end();
      }),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(async () => {
  info = await backend.put(at, { kind: 'buffer', data: Buffer.from(text) }, { contentType: 'text/plain' }, noContext);
  open = (options) => backend.get(at, options, noContext);
  sendOptions = {};
  opened = [];
  sends = [];
});

interface Answer {
  readonly status: number;
  readonly body: string;
  header(name: string): string | null;
}

async function ask(headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  const response = await fetch(base, { method, headers });
  return { status: response.status, body: await response.text(), header: (name) => response.headers.get(name) };
}

describe('sendObject', () => {
  it('sends the object with what a client needs to know', async () => {
    const answer = await ask();
    expect([answer.status, answer.body]).toEqual([200, text]);
    expect(answer.header('content-type')).toBe('text/plain');
    expect(answer.header('content-length')).toBe('26');
    expect(answer.header('etag')).toBe(`"${info.etag}"`);
    expect(answer.header('last-modified')).toBe(info.lastModified.toUTCString());
    expect(answer.header('accept-ranges')).toBe('bytes');
    expect(answer.header('x-content-type-options')).toBe('nosniff');
    expect(answer.header('content-disposition')).toBeNull();
    expect(answer.header('content-security-policy')).toBeNull(); // browsers show no PDF in a sandbox
  });

  it.each([
    ['bytes=0-5', 'twenty', '0-5'],
    ['bytes=20-', 'prose.', '20-25'],
    ['bytes=-1', '.', '25-25'],
    ['bytes=0-999', text, '0-25'],
  ])('sends the range %s', async (range, body, contentRange) => {
    const answer = await ask({ range });
    expect([answer.status, answer.body]).toEqual([206, body]);
    expect(answer.header('content-range')).toBe(`bytes ${contentRange}/26`);
    expect(answer.header('content-length')).toBe(String(body.length));
  });

  it('sends the whole object for ranges that it does not support', async () => {
    for (const range of ['bytes=0-1,3-4', 'items=0-1', 'bytes=5-1'])
      expect(await ask({ range })).toMatchObject({ status: 200, body: text });
  });

  it('refuses a disposition that no header can hold, and closes the body', async () => {
    let body: Readable | undefined;
    open = async (options) => {
      const result = await backend.get(at, options, noContext);
      if (result.kind === 'object') ({ body } = result);
      return result;
    };
    for (const contentDisposition of ['attachment; filename="日本.png"', 'attachment\r\nx: y', '']) {
      sendOptions = { contentDisposition };
      expect(await ask()).toMatchObject({ status: 400, body: '' });
      expect(body?.destroyed).toBe(true);
      expect((await ask({}, 'HEAD')).status).toBe(400);
    }
  });

  it('closes the body when a header of the caller is invalid', async () => {
    let body: Readable | undefined;
    open = async (options) => {
      const result = await backend.get(at, options, noContext);
      if (result.kind === 'object') ({ body } = result);
      return result;
    };
    sendOptions = { headers: { 'x-name': '日本' } };
    expect(await ask()).toMatchObject({ status: 500, body: '' });
    expect(body?.destroyed).toBe(true);
  });

  it('leaves errors to the caller, with nothing sent', async () => {
    expect((await ask({ range: 'bytes=26-' })).status).toBe(416);
    expect((await ask({ 'if-match': '"other"' })).status).toBe(412);
    await backend.delete(at, noContext);
    expect((await ask()).status).toBe(404);
  });

  it('answers 304 when the client has the object', async () => {
    const answer = await ask({ 'if-none-match': `"other", W/"${info.etag}"` });
    expect([answer.status, answer.body, answer.header('etag')]).toEqual([304, '', `"${info.etag}"`]);
    expect(answer.header('last-modified')).toBe(info.lastModified.toUTCString());
    expect(answer.header('content-length')).toBeNull();
    expect((await ask({ 'if-modified-since': info.lastModified.toUTCString() })).status).toBe(304);
    expect((await ask({ 'if-none-match': '"other"' })).status).toBe(200);
  });

  it('sends the current file name with a 304, where the type is known', async () => {
    const held = { 'if-none-match': `"${info.etag}"` };
    sendOptions = { filename: 'new.txt', contentType: 'text/plain' };
    expect((await ask(held)).header('content-disposition')).toBe('inline; filename="new.txt"');
    sendOptions = { filename: 'new.html', contentType: 'text/html', contentDisposition: 'inline' };
    expect((await ask(held)).header('content-disposition')).toBe('attachment; filename="new.html"');
    sendOptions = { filename: 'new.txt' };
    expect((await ask(held)).header('content-disposition')).toBeNull();
  });

  it('answers an empty object', async () => {
    await backend.put(at, { kind: 'buffer', data: Buffer.alloc(0) }, { contentType: 'text/plain' }, noContext);
    const answer = await ask();
    expect([answer.status, answer.body, answer.header('content-length')]).toEqual([200, '', '0']);
    expect((await ask({ range: 'bytes=0-' })).status).toBe(416);
    open = async () => ({ kind: 'object', info: { ...info, size: 0 }, body: streamOf(Buffer.alloc(0)), ownsChunks: true });
    expect(await ask()).toMatchObject({ status: 200, body: '' });
  });

  describe('with If-Range', () => {
    it('sends the range of the version that it names, in one read', async () => {
      expect(await ask({ range: 'bytes=0-5', 'if-range': `"${info.etag}"` })).toMatchObject({ status: 206, body: 'twenty' });
      expect(await ask({ range: 'bytes=0-5', 'if-range': info.lastModified.toUTCString() })).toMatchObject({ status: 206, body: 'twenty' });
      expect(opened.length).toBe(2);
    });

    it.each([
      ['another version', () => '"other"'],
      ['a weak ETag', () => `W/"${info.etag}"`],
      ['an earlier date', () => new Date(info.lastModified.getTime() - 60_000).toUTCString()],
      ['a later date', () => new Date(info.lastModified.getTime() + 60_000).toUTCString()],
      ['nothing', () => ''],
      ['garbage', () => '"""'],
    ])('sends the whole for %s', async (_name, value) => {
      expect(await ask({ range: 'bytes=0-5', 'if-range': value() })).toMatchObject({ status: 200, body: text });
      expect(await ask({ range: 'bytes=99-', 'if-range': '"other"' })).toMatchObject({ status: 200, body: text });
    });

    it('closes the body of the version that it does not name', async () => {
      const bodies: Readable[] = [];
      open = async (options) => {
        const result = await backend.get(at, options, noContext);
        if (result.kind === 'object') bodies.push(result.body);
        return result;
      };
      await ask({ range: 'bytes=0-5', 'if-range': new Date(info.lastModified.getTime() + 60_000).toUTCString() });
      await sends[0];
      expect(bodies.map(({ destroyed }) => destroyed)).toEqual([true, true]);
    });

    it('keeps to the other conditions', async () => {
      const ifRange = { range: 'bytes=0-5', 'if-range': `"${info.etag}"` };
      expect((await ask({ ...ifRange, 'if-none-match': `"${info.etag}"` })).status).toBe(304);
      const byDate = { ...ifRange, 'if-range': info.lastModified.toUTCString() };
      expect((await ask({ ...byDate, 'if-none-match': `"${info.etag}"` })).status).toBe(304);
      expect((await ask({ ...ifRange, 'if-match': '"other"' })).status).toBe(412);
      expect((await ask({ ...ifRange, 'if-unmodified-since': new Date(0).toUTCString() })).status).toBe(412);
      expect((await ask({ range: 'bytes=26-', 'if-range': `"${info.etag}"` })).status).toBe(416);
      expect((await ask({ 'if-range': '"other"' })).body).toBe(text);
    });
  });

  it('makes a browser download what it would run, whatever the caller says', async () => {
    await backend.put(at, { kind: 'buffer', data: Buffer.from('<script>') }, { contentType: 'text/html' }, noContext);
    sendOptions = { contentDisposition: 'inline', filename: 'é.html' };
    const answer = await ask();
    expect(answer.header('content-disposition')).toBe(`attachment; filename="_.html"; filename*=UTF-8''%C3%A9.html`);
    expect(answer.header('content-security-policy')).toBe("default-src 'none'; sandbox");
    expect(answer.header('x-content-type-options')).toBe('nosniff');
  });

  it('names what is shown, and takes headers of the caller', async () => {
    sendOptions = { filename: 'notes.txt', headers: { 'cache-control': 'private' } };
    const answer = await ask();
    expect([answer.header('content-disposition'), answer.header('cache-control')]).toEqual(['inline; filename="notes.txt"', 'private']);
    expect((await ask({ 'if-none-match': '*' })).header('cache-control')).toBe('private');
  });

  it('gives back the memory of what it has sent, where nobody else has it', async () => {
    for (const ownsChunks of [true, false]) {
      const chunks = Array.from({ length: 40 }, (_, index) => Buffer.from(new ArrayBuffer(65_536)).fill(index));
      const expected = Buffer.concat(chunks);
      open = async () => {
        const body = Readable.from(chunks, { objectMode: false });
        return { kind: 'object', info: { ...info, size: expected.length }, body, ownsChunks };
      };
      const answer = await fetch(base);
      expect(Buffer.from(await answer.arrayBuffer()).equals(expected)).toBe(true);
      await Promise.all(sends);
      expect(new Set(chunks.map(({ length }) => length))).toEqual(new Set([ownsChunks ? 0 : 65_536]));
    }
  });

  it('reads no faster than its client, and leaves the connection to the next request', async () => {
    const [piece, pieces] = [4_194_304, 40]; // more than the system takes at once, up to the last piece
    let read = 0;
    const body = new Readable({
      read() {
        this.push(read++ < pieces ? Buffer.alloc(piece) : null);
      },
    });
    open = async () => ({ kind: 'object', info: { ...info, size: piece * pieces }, body });
    const agent = new Agent({ keepAlive: true });
    const request = httpRequest(base, { agent }).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    let before = 0;
    const isHeldUp = (): boolean => before === (before = read);
    await expect.poll(isHeldUp).toBe(true);
    expect(read).toBeLessThan(pieces / 2);
    let size = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) size += chunk.length;
    expect(size).toBe(piece * pieces);
    open = (options) => backend.get(at, options, noContext);
    const next = httpRequest(base, { agent }).end();
    const [answer] = (await once(next, 'response')) as [IncomingMessage];
    expect([next.reusedSocket, Buffer.concat(await answer.toArray()).toString()]).toEqual([true, text]);
    agent.destroy();
  });

  it.each([
    ['more', 20, streamOf],
    ['more', 20, endlessStreamOf],
    ['fewer', 5, streamOf],
    ['more', 20, wholeBody],
    ['fewer', 5, wholeBody],
  ])(
    'cuts the connection when the body has %s bytes than the head announced, so that none pass for another answer',
    async (_what, size, bodyOf) => {
      open = async () => ({ kind: 'object', info: { ...info, size: 10 }, body: bodyOf(Buffer.alloc(size, 'x')) });
      const socket = connect(Number(new URL(base).port), '127.0.0.1');
      socket.end('GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n');
      let answer = '';
      socket.on('data', (chunk) => (answer += String(chunk))).on('error', () => {});
      await once(socket, 'close');
      expect(answer.split('HTTP/1.1').length).toBeLessThanOrEqual(2);
      expect((answer.split('\r\n\r\n')[1] ?? '').length).toBeLessThanOrEqual(10);
    },
  );

  it.each(['fails on its way', 'is closed on its way', 'was closed before'])('cuts the connection when the body %s', async (how) => {
    open = async () => {
      const body = new Readable({ read() {} });
      body.push('first bytes');
      if (how === 'was closed before') await once(body.destroy(), 'close');
      else setTimeout(() => body.destroy(how.startsWith('fails') ? storageError('read_timeout', 'gone') : undefined), 10);
      return { kind: 'object', info, body };
    };
    await expect(ask()).rejects.toThrow();
    await expect(sends[0]).resolves.toBeUndefined();
  });

  it('ends the read when the client leaves', async () => {
    let body: Readable | undefined;
    open = async () => {
      body = new Readable({ read() {} });
      body.push('first bytes');
      return { kind: 'object', info: { ...info, size: 1_000_000 }, body };
    };
    const request = httpRequest(base).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    await once(response, 'data');
    response.on('error', () => {});
    request.destroy();
    await sends[0];
    expect(body?.destroyed).toBe(true);
  });

  it('closes a body that was opened for a client who had left', async () => {
    let body: Readable | undefined;
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    const asked = new Promise<void>((resolve) => {
      open = async () => {
        resolve();
        await gate;
        body = Readable.from(['x'], { objectMode: false });
        return { kind: 'object', info, body };
      };
    });
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await asked;
    socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 20));
    release();
    await sends[0];
    expect(body?.destroyed).toBe(true);
  });
});

describe('sendObjectHead', () => {
  it('tells what a GET would, without the bytes', async () => {
    const [head, get] = [await ask({}, 'HEAD'), await ask()];
    expect([head.status, head.body]).toEqual([200, '']);
    for (const name of ['content-type', 'content-length', 'etag', 'last-modified', 'accept-ranges', 'x-content-type-options']) {
      expect(head.header(name), name).toBe(get.header(name));
    }
  });

  it('answers for a current copy as a GET would', async () => {
    sendOptions = { filename: 'notes.txt', contentType: 'text/plain', headers: { 'cache-control': 'private' } };
    const current = { 'if-none-match': `"${info.etag}"` };
    const names = [
      'accept-ranges',
      'cache-control',
      'content-disposition',
      'content-type',
      'etag',
      'last-modified',
      'x-content-type-options',
    ];
    const headersOf = async (method: string): Promise<unknown> => {
      const { status, header } = await ask(current, method);
      return { status, ...Object.fromEntries(names.map((name) => [name, header(name)])) };
    };
    expect(await headersOf('GET')).toMatchObject({
      status: 304,
      'cache-control': 'private',
      'content-disposition': 'inline; filename="notes.txt"',
    });
    expect(await headersOf('HEAD')).toEqual(await headersOf('GET'));
  });

  it('evaluates conditions', async () => {
    expect((await ask({ 'if-none-match': `"${info.etag}"` }, 'HEAD')).status).toBe(304);
    expect((await ask({ 'if-match': '"other"' }, 'HEAD')).status).toBe(412);
  });

  it('answers for a range as a GET would', async () => {
    const etag = `"${info.etag}"`;
    const date = info.lastModified.toUTCString();
    const range = 'bytes=2-4';
    const requests: Record<string, string>[] = [
      { range },
      { range: 'bytes=-5' },
      { range: 'bytes=20-' },
      { range: 'bytes=26-' },
      { range: 'bytes=0-1,3-4' },
      { range, 'if-none-match': etag },
      { range: 'bytes=26-', 'if-match': '"other"' },
      { range, 'if-range': etag },
      { range, 'if-range': date },
      { range, 'if-range': '"other"' },
      { range, 'if-range': `W/${etag}` },
      { range, 'if-range': new Date(info.lastModified.getTime() + 60_000).toUTCString() },
      { range, 'if-range': etag, 'if-match': etag },
      { range, 'if-range': etag, 'if-unmodified-since': date },
      { range, 'if-range': etag, 'if-unmodified-since': 'yesterday' },
      { range: 'bytes=26-', 'if-range': etag },
      { range: 'bytes=26-', 'if-range': '"other"' },
    ];
    const answerTo = async (headers: Record<string, string>, method: string): Promise<unknown> => {
      const { status, header } = await ask(headers, method);
      return [status, ...(status < 300 ? ['content-length', 'content-range', 'etag', 'content-type'].map(header) : [])];
    };
    for (const headers of requests) expect([headers, await answerTo(headers, 'HEAD')]).toEqual([headers, await answerTo(headers, 'GET')]);
    expect(await answerTo({ range }, 'HEAD')).toEqual([206, '3', 'bytes 2-4/26', etag, 'text/plain']);
    expect(await answerTo({ range: 'bytes=26-' }, 'HEAD')).toEqual([416]);
  });
});

describe('objectHeaders', () => {
  it.each([
    ['text/plain', 'inline; filename="a"', 'inline; filename="a"'],
    ['text/html', 'inline; filename="attachment"', 'attachment; filename="attachment"'],
    ['text/html', 'inline', 'attachment'],
    ['text/html', 'attachment, inline', 'attachment'],
    ['text/html', 'attachment ; filename="a"', 'attachment ; filename="a"'],
    ['text/html', ' attachment', 'attachment'],
    ['text/html', 'ATTACHMENT; filename="a"', 'ATTACHMENT; filename="a"'],
    ['text/html', undefined, 'attachment'],
  ])('of %s that is to be sent as %j', (contentType, requested, sent) => {
    const options = { contentType, ...(requested !== undefined && { contentDisposition: requested }) };
    expect(objectHeaders(info, options)).toMatchObject({ 'content-disposition': sent });
  });

  it('tells what stored bytes are to be decoded by', () => {
    expect(objectHeaders({ ...info, contentEncoding: 'gzip' })).toMatchObject({ 'content-encoding': 'gzip', 'content-length': info.size });
    expect(objectHeaders(info)).not.toHaveProperty('content-encoding');
  });

  it('replaces an invalid type, which a provider may store', () => {
    for (const contentType of ['', 'text/html\r\nx: y', 'tëxt/plain']) {
      expect(objectHeaders({ ...info, contentType })).toMatchObject({ 'content-type': 'application/octet-stream' });
    }
    expect(objectHeaders(info, { contentType: 'image/png' })).toMatchObject({ 'content-type': 'image/png' });
  });
});
