import { createHash, randomBytes } from 'node:crypto';

import { smallBodyBytes } from '@coffer/storage-core/http';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { boundary, end, field, file } from '../testing/form-server.ts';
import { RawConnection } from '../testing/raw-http.ts';
import type { RawAnswer } from '../testing/raw-http.ts';
import { onEachBackend } from '../testing/on-each-backend.ts';
import type { ApiOnBackend } from '../testing/on-each-backend.ts';

import { admin, as } from '../testing/tokens.ts';

type Cut = (body: Buffer) => readonly Buffer[];

const pieces =
  (size: number): Cut =>
  (body) =>
    Array.from({ length: Math.ceil(body.length / size) }, (_, index) => body.subarray(index * size, (index + 1) * size));
/** How a body arrives; each way with an announced length, and in chunks. */
const whole: Cut = (body) => [body];
const cuts: Readonly<Record<string, Cut>> = {
  whole,
  'first byte alone': (body) => [body.subarray(0, 1), body.subarray(1)],
  'last byte alone': (body) => [body.subarray(0, -1), body.subarray(-1)],
  'pieces of 8999': pieces(8999),
};
const framings = ['with the head', 'behind the head', 'expecting 100', 'chunked'] as const;

async function sent(
  connection: RawConnection,
  request: string,
  body: Buffer,
  { cut, framing, more = '' }: { readonly cut: Cut; readonly framing: (typeof framings)[number]; readonly more?: string },
): Promise<RawAnswer> {
  const isChunked = framing === 'chunked';
  const length = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`;
  const expects = framing === 'expecting 100' ? 'Expect: 100-continue\r\n' : '';
  const head = Buffer.from(`${request} HTTP/1.1\r\nHost: x\r\n${more}${expects}${length}\r\n\r\n`);
  const parts = cut(body)
    .filter(({ length: bytes }) => bytes > 0)
    .map((piece) => (isChunked ? Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]) : piece));
  if (isChunked) parts.push(Buffer.from('0\r\n\r\n'));
  const all = framing === 'with the head' ? [Buffer.concat([head, ...parts.slice(0, 1)]), ...parts.slice(1)] : [head, ...parts];
  for (const piece of all) {
    await connection.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return connection.answer();
}

onEachBackend('bodies around the size up to which they are read whole', ({ start }) => {
  let api: ApiOnBackend;
  let headers: { authorization: string };
  let authorization: string;
  beforeAll(async () => {
    api = await start();
    headers = await admin();
    authorization = `Authorization: ${headers.authorization}\r\n`;
  });
  afterAll(() => api.stop());
  const sizes = [0, 1, smallBodyBytes - 1, smallBodyBytes, smallBodyBytes + 1];

  it('are objects as they were sent, however they arrive', async () => {
    for (const size of sizes) {
      for (const [how, cut] of Object.entries(cuts)) {
        const connection = await RawConnection.open(api.url);
        // All on one connection, where leftovers of one request would be taken for the next.
        for (const framing of framings) {
          const body = randomBytes(size);
          const request = 'PUT /api/v1/storage/objects/border';
          const answer = await sent(connection, request, body, { cut, framing, more: authorization });
          expect([size, how, framing, answer.status], answer.body).toEqual([size, how, framing, 201]);
          const { bytes } = await api.send('GET', '/api/v1/storage/objects/border', { headers });
          expect(bytes.equals(body)).toBe(true);
        }
        connection.destroy();
      }
    }
  });

  const type = `Content-Type: multipart/form-data; boundary=${boundary}\r\n`;
  const shapes: Readonly<Record<string, (content: string) => string>> = {
    plain: (content) => file(content) + end,
    'between a preamble and an epilogue': (content) => `before\r\n\r\n\r\n${file(content)}${end}behind\r\n--${boundary}\r\n\r\n`,
    'with fields on both sides': (content) => field('acl', 'private') + file(content) + field('storage_class', 'STANDARD') + end,
    'without the last line break': (content) => file(content) + end.trimEnd(),
  };

  it('are forms with their file as it was sent, however they arrive', async () => {
    for (const [shape, made] of Object.entries(shapes)) {
      const framed = made('').length;
      for (const size of sizes.slice(2)) {
        for (const [how, cut] of Object.entries(cuts).slice(2)) {
          const connection = await RawConnection.open(api.url);
          const content = randomBytes(Math.max(size - framed, 0))
            .toString('latin1')
            .replaceAll(/[^\x20-\x7e]/g, '\r\n-'.at(size % 4)!);
          for (const framing of framings) {
            const what = [shape, size, how, framing];
            const answer = await sent(connection, 'POST /api/v1/storage/objects/border', Buffer.from(made(content), 'latin1'), {
              cut,
              framing,
              more: authorization + type,
            });
            expect([...what, answer.status], answer.body).toEqual([...what, 201]);
            const { bytes } = await api.send('GET', '/api/v1/storage/objects/border', { headers });
            expect(bytes.toString('latin1') === content, what.join()).toBe(true);
          }
          connection.destroy();
        }
      }
    }
  });

  it.each([0, 2, 4096, 4097, 1_048_576])(
    'leave the next request alone that comes behind a form with an epilogue of %i bytes',
    async (size) => {
      const form = file('x') + end;
      const head = `POST /api/v1/storage/objects/border HTTP/1.1\r\nHost: a\r\n${authorization}${type}Content-Length: ${form.length + size}\r\n\r\n`;
      const next = `${'e'.repeat(size)}GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n`;
      for (const isAnswered of [false, true]) {
        const connection = await RawConnection.open(api.url);
        await connection.write(isAnswered ? head + form : head + form + next);
        const answer = await connection.answer();
        expect(answer).toMatchObject({ status: 201 });
        if (isAnswered) await connection.write(next);
        // An answer before the end of the epilogue is the last one on its connection.
        const isLast = answer.headers['connection'] === 'close';
        if (isAnswered || size === 0) expect(isLast).toBe(size > 0);
        if (isLast) await expect(connection.answer()).rejects.toThrow(/without an answer: $/);
        else expect(await connection.answer()).toMatchObject({ status: 200 });
        connection.destroy();
      }
    },
  );

  it('are files as they were sent, however they arrive', async () => {
    const own = `Authorization: ${(await as('alice')).authorization}\r\n`;
    for (const size of sizes) {
      for (const framing of framings) {
        const connection = await RawConnection.open(api.url);
        const made = (content: string): string => file(content) + field('metadata', '{"a":1}') + end;
        const content = 'x'.repeat(Math.max(size - made('').length, 0));
        const answer = await sent(connection, 'POST /api/v1/files/upload', Buffer.from(made(content)), {
          cut: whole,
          framing,
          more: own + type,
        });
        expect(answer.status, answer.body).toBe(201);
        expect(JSON.parse(answer.body)).toMatchObject({ size_bytes: content.length, metadata: { a: 1 }, status: 'available' });
        connection.destroy();
      }
    }
  });

  it('are refused in the same way when they are not what was declared', async () => {
    const wrong = createHash('sha256').update('something else').digest('base64');
    for (const size of sizes) {
      for (const framing of framings) {
        const connection = await RawConnection.open(api.url);
        const more = `${authorization}x-amz-checksum-sha256: ${wrong}\r\n`;
        for (const [request, body, kind] of [
          ['PUT /api/v1/storage/objects/wrong', Buffer.alloc(size), ''],
          ['POST /api/v1/storage/objects/wrong', Buffer.from(file('x'.repeat(size)) + end), type],
        ] as const) {
          const answer = await sent(connection, request, body, { cut: whole, framing, more: more + kind });
          expect([size, framing, request, answer.status], answer.body).toEqual([size, framing, request, 422]);
        }
        connection.destroy();
        const { status } = await api.send('GET', '/api/v1/storage/objects/wrong', { headers });
        expect(status).toBe(404);
      }
    }
  });

  it('leave nothing when they are cut short', async () => {
    const before = await api.stored();
    for (const size of sizes.slice(1)) {
      for (const [request, body, kind] of [
        ['PUT /api/v1/storage/objects/cut', 'x'.repeat(size - 1), ''],
        ['POST /api/v1/storage/objects/cut', `${file('x'.repeat(size))}${end}`.slice(0, size - 1), type],
        ['POST /api/v1/files/upload', `${file('x'.repeat(size))}${end}`.slice(0, size - 1), type],
      ] as const) {
        for (const half of [false, true]) {
          const connection = await RawConnection.open(api.url);
          await connection.write(`${request} HTTP/1.1\r\nHost: x\r\n${authorization}${kind}Content-Length: ${size}\r\n\r\n${body}`);
          if (half) connection.socket.end();
          else connection.destroy();
          expect(await connection.closesInTime()).toBe(true);
        }
      }
    }
    expect(await api.stored()).toEqual(before);
  });
});
