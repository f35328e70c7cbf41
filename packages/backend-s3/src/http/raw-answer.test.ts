import { once } from 'node:events';
import { createServer, maxHeaderSize } from 'node:http';
import type { RequestListener } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { RawAnswer } from './raw-answer.ts';

/** Reads an answer cut into pieces of these lengths, the last of which repeats. */
function read(bytes: Buffer, lengths: readonly number[]): { readonly answer: RawAnswer; readonly body: Buffer } {
  const answer = new RawAnswer();
  const body: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const length = lengths[Math.min(turn, lengths.length - 1)] ?? 1;
    // A copy that is overwritten afterwards, like the buffer of a socket.
    const chunk = Buffer.from(bytes.subarray(at, at + length));
    body.push(...answer.read(chunk).map((piece) => Buffer.from(piece)));
    chunk.fill(0);
    at += length;
  }
  return { answer, body: Buffer.concat(body) };
}

/** What Node's server sends. */
async function sentBy(listener: RequestListener): Promise<Buffer> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.end('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  server.close();
  return Buffer.concat(chunks);
}

const lengths = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 });

describe('an answer', () => {
  it.each<[string, RequestListener]>([
    [
      'with a length',
      (_request, response) => void response.writeHead(206, { 'content-length': 12, 'X-Amz-Id': ' a: b ' }).end('hello\r\n\r\nyou'),
    ],
    [
      'in chunks',
      (_request, response) => {
        response.writeHead(206, { 'X-Amz-Id': ' a: b ', trailer: 'x-sum' });
        response.write('hello');
        response.write('\r\n\r\nyou');
        response.addTrailers({ 'x-sum': '1' });
        response.end();
      },
    ],
  ])('%s is read however it is cut', async (_name, listener) => {
    const bytes = await sentBy(listener);
    fc.assert(
      fc.property(lengths, (cuts) => {
        const { answer, body } = read(bytes, cuts);
        expect(answer.head).toMatchObject({ status: 206, headers: { 'x-amz-id': 'a: b' } });
        expect([answer.isComplete, body.toString()]).toEqual([true, 'hello\r\n\r\nyou']);
      }),
    );
    for (let end = 0; end < bytes.length; end++) expect(read(bytes.subarray(0, end), [7]).answer.isComplete).toBe(false);
  });

  it('with random chunks is read as Node reads it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 })), lengths, async (chunks, cuts) => {
        const bytes = await sentBy((_request, response) => {
          response.writeHead(200, { 'content-type': 'x' });
          for (const chunk of chunks) response.write(chunk);
          response.end();
        });
        expect(read(bytes, cuts).body.equals(Buffer.concat(chunks))).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('keeps the first of repeated headers that should occur once, and joins all others', () => {
    const single = ['Age', 'Content-Type', 'Date', 'ETag', 'Expires', 'Last-Modified', 'Location', 'Retry-After'];
    const twice = [...single, 'X-More'].flatMap((name) => [`${name}: 1`, `${name}: 2`]);
    const bytes = Buffer.from(`HTTP/1.1 200 OK\r\n${twice.join('\r\n')}\r\nContent-Length: 0\r\n\r\n`);
    const first = Object.fromEntries(single.map((name) => [name.toLowerCase(), '1']));
    expect(read(bytes, [9]).answer.head?.headers).toEqual({ ...first, 'x-more': '1, 2', 'content-length': '0' });
    const lengths = bytes.toString().replace('Content-Length: 0', 'Content-Length: 0\r\nContent-Length: 5');
    expect(() => read(Buffer.from(lengths), [9])).toThrow();
  });

  it('without a body has none', () => {
    for (const head of ['204 No Content\r\n', '304 Not Modified\r\ncontent-length: 5\r\n', '200\r\ncontent-length: 0\r\n']) {
      expect(read(Buffer.from(`HTTP/1.1 ${head}\r\n`), [3]).answer).toMatchObject({ isComplete: true, keepsAlive: true });
    }
  });

  it('may follow interim answers, however it is cut', () => {
    const bytes = Buffer.from('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx');
    for (let length = 1; length <= bytes.length; length++) {
      const { answer, body } = read(bytes, [length]);
      expect([answer.head?.status, body.toString(), answer.isComplete]).toEqual([200, 'x', true]);
    }
  });

  it('may be as large as any object, also in a single chunk', () => {
    const sized = read(Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${5 * 2 ** 40}\r\n\r\nabc`), [99]);
    expect([sized.answer.left, sized.body.toString()]).toEqual([5 * 2 ** 40 - 3, 'abc']);
    const chunked = read(Buffer.from('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n50000000000\r\nabc'), [99]);
    expect([chunked.answer.isComplete, chunked.body.toString()]).toEqual([false, 'abc']);
  });

  it('says whether the connection goes on', () => {
    const keeps = (head: string): boolean => read(Buffer.from(`HTTP/${head}\r\ncontent-length: 0\r\n\r\n`), [9]).answer.keepsAlive;
    expect([keeps('1.1 200 OK'), keeps('1.0 200 OK\r\nConnection: Keep-Alive')]).toEqual([true, true]);
    expect([keeps('1.0 200 OK'), keeps('1.0 200 OK\r\nConnection: Upgrade')]).toEqual([false, false]);
    expect(keeps('1.1 200 OK\r\nConnection: close')).toBe(false);
    const endless = read(Buffer.from('HTTP/1.1 200 OK\r\n\r\nabc'), [1]);
    expect(endless).toMatchObject({ answer: { keepsAlive: false, isComplete: false, endsWithConnection: true } });
    expect(endless.body.toString()).toBe('abc');
  });

  it.each([
    ['no HTTP', 'SSH-2.0-OpenSSH_9.9\r\n\r\n'],
    ['another version', 'HTTP/2 200 OK\r\n\r\n'],
    ['a status that is none', 'HTTP/1.1 OK\r\ncontent-length: 0\r\n\r\n'],
    ['a status of four digits', 'HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n'],
    ['a status that does not exist', 'HTTP/1.1 600 Odd\r\ncontent-length: 0\r\n\r\n'],
    ['more than its length', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab'],
    ['a length that is none', 'HTTP/1.1 200 OK\r\ncontent-length: 1x\r\n\r\na'],
    ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na'],
    ['a length and chunks', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n'],
    ['another coding', 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n'],
    ['a folded header', 'HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n'],
    ['a folded header that looks like another one', 'HTTP/1.1 200 OK\r\na: b\r\n content-length: 1\r\n\r\na'],
    ['a header folded by a tab', 'HTTP/1.1 200 OK\r\na: b\r\n\tcontent-length: 1\r\n\r\na'],
    ['a space behind a name', 'HTTP/1.1 200 OK\r\ncontent-length : 1\r\n\r\na'],
    ['a line that is no header before one that is', 'HTTP/1.1 200 OK\r\na\r\nb: c\r\ncontent-length: 0\r\n\r\n'],
    ['a line without a name', 'HTTP/1.1 200 OK\r\n: b\r\n\r\n'],
    ['a carriage return alone behind the status', 'HTTP/1.1 200\rfoo\r\ncontent-length: 0\r\n\r\n'],
    ['a carriage return alone in a value', 'HTTP/1.1 200 OK\r\na: b\r\r\ncontent-length: 0\r\n\r\n'],
    ['a NUL', 'HTTP/1.1 200 OK\r\na: b\0c\r\ncontent-length: 0\r\n\r\n'],
    ['a line feed alone', 'HTTP/1.1 200 OK\r\na: b\nc: d\r\ncontent-length: 0\r\n\r\n'],
    ['a chunk without a size', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\r\n'],
    ['a chunk longer than it says', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n'],
    ['more after the last chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nx'],
    ['a line of a chunk without end', `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;${'a'.repeat(100_000)}`],
    ['a trailer without end', `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: ${'b'.repeat(100_000)}`],
    ['a head without end', `HTTP/1.1 200 OK\r\na: ${'b'.repeat(5 * maxHeaderSize)}`],
  ])('is refused for %s', (_name, text) => {
    for (const length of [1, 1000]) expect(() => read(Buffer.from(text), [length])).toThrow('malformed');
  });

  it('is refused for a head that is too long, however it comes', () => {
    const text = Buffer.from(`HTTP/1.1 200 OK\r\na: ${'b'.repeat(100_000)}\r\ncontent-length: 0\r\n\r\n`);
    for (const length of [1000, text.length]) expect(() => read(text, [length])).toThrow('malformed');
  });

  it('that is no HTTP is known as such by its first bytes', () => {
    const text = Buffer.from('SSH-2.0-OpenSSH_9.2\r\n');
    expect(() => read(text, [1])).toThrow('malformed');
    expect(() => read(Buffer.from('HTTP/2'), [1])).toThrow('malformed');
  });

  it('may spell its headers and its coding in any case, and add to the sizes of its chunks', () => {
    const bytes = Buffer.from(
      'HTTP/1.1 200 OK\r\nTRANSFER-ENCODING: Chunked\r\nCONNECTION: Close\r\n\r\nA\t;a=b\r\nten bytes!\r\n0 \r\n\r\n',
    );
    const { answer, body } = read(bytes, [100]);
    expect([body.toString(), answer.isComplete, answer.keepsAlive]).toEqual(['ten bytes!', true, false]);
  });

  it('to HEAD has no body, whatever it says', () => {
    const answer = new RawAnswer({ isHead: true });
    answer.read(Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n'));
    expect([answer.isComplete, answer.keepsAlive, answer.head?.headers['content-length']]).toEqual([true, true, '5']);
    expect(() => answer.read(Buffer.from('hello'))).toThrow('bytes after the end');
  });
});
