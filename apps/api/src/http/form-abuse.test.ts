import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { boundary, end, field, file, part, startFormServer } from '../testing/form-server.ts';
import type { FormServer, PostOptions } from '../testing/form-server.ts';
import { RawConnection } from '../testing/raw-http.ts';
import { openForm } from './form.ts';
import type { UploadForm } from './form.ts';

describe.each([
  ['and announces its length', {}],
  ['and is of unknown length', { length: null }],
])('a malformed form %s', (_how, framing) => {
  let server: FormServer;
  const loose: unknown[] = [];
  const onLoose = (error: unknown): void => void loose.push(error);

  beforeAll(async () => {
    server = await startFormServer();
    process.on('uncaughtException', onLoose);
    process.on('unhandledRejection', onLoose);
  });
  afterAll(async () => {
    process.off('uncaughtException', onLoose);
    process.off('unhandledRejection', onLoose);
    await server.close();
  });
  afterEach(() => {
    expect(loose).toEqual([]);
    expect(server.open()).toBe(0);
  });

  const refused = async (
    body: Parameters<FormServer['post']>[0],
    options: PostOptions = {},
  ): Promise<{ status: number; code: string; field?: string }> => {
    const answer = await server.post(body, { timeoutMs: 5000, ...framing, ...options });
    const { code, errors } = JSON.parse(answer.body) as { code: string; errors?: { field: string }[] };
    const named = errors?.[0]?.field;
    return { status: answer.status, code, ...(named !== undefined && { field: named }) };
  };
  const invalid = { status: 400, code: 'validation_failed' };

  it.each([null, '', 'text/plain', 'application/json', 'multipart/mixed; boundary=x', 'multipart/form-datax; boundary=x', 'multipart/'])(
    'is refused as the media type %s',
    async (type) => {
      expect(await refused(file('x') + end, { type })).toEqual({ status: 415, code: 'unsupported_media_type' });
    },
  );

  it.each([
    '',
    ';',
    '; boundary',
    '; boundary=',
    '; boundary=""',
    `; boundary=${'b'.repeat(71)}`,
    `; boundary=${'b'.repeat(4000)}`,
    '; boundary="a\tb"',
    '; boundary="a "',
  ])('is refused without a usable boundary: multipart/form-data%s', async (rest) => {
    expect(await refused(file('x') + end, { type: `multipart/form-data${rest}` })).toEqual({ ...invalid, field: 'request' });
  });

  it.each([
    ['nothing', ''],
    ['no part', end],
    ['no part, and a preamble', `preamble\r\n${end}`],
    ['other bytes', 'x'.repeat(100_000)],
    ['another boundary', (file('x') + end).replaceAll(boundary, 'other')],
    ['line feeds only', (file('x') + end).replaceAll('\r\n', '\n')],
    ['a first boundary inside a line', `x${file('x')}${end}`],
  ])('is refused with %s', async (_what, body) => {
    expect(await refused(body)).toMatchObject(invalid);
    expect(await refused(body, { length: null })).toMatchObject(invalid);
  });

  it.each([
    ['only fields', field('a', '1'), 'file'],
    ['no file chosen in a browser', file('', ''), 'file'],
    ['two files', file('x') + file('y'), 'file'],
    ['the file twice, one without a name', file('x') + part('Content-Disposition: form-data; name="file"', 'y'), 'file'],
    ['a file under another name', file('x', 'a.txt', 'upload'), 'upload'],
    ['another file before the right one', file('x', 'a.txt', 'upload') + file('y'), 'upload'],
    ['another file behind the right one', file('x') + file('y', 'a.txt', 'upload'), 'upload'],
    ['a field twice', field('a', '1') + file('x') + field('a', '2'), 'a'],
    ['a huge field', field('a', 'v'.repeat(65_537)) + file('x'), 'a'],
    ['a huge field behind the file', file('x') + field('a', 'v'.repeat(200_000)), 'a'],
  ])('is refused with %s', async (_what, body, named) => {
    expect(await refused(body + end)).toEqual({ ...invalid, field: named });
  });

  it.each([
    ['a part without headers', `--${boundary}\r\n\r\nx\r\n`],
    ['a part without Content-Disposition', part('Content-Type: text/plain', 'x')],
    ['a part of another disposition', part('Content-Disposition: attachment; name="file"; filename="a"', 'x')],
    ['a part without a name', part('Content-Disposition: form-data', 'x')],
    ['a file without a name', part('Content-Disposition: form-data; filename="a"', 'x')],
    ['an empty name', part('Content-Disposition: form-data; name=""', 'x')],
    ['a header without a colon', part(['Content-Disposition: form-data; name="file"; filename="a"', 'garbage'], 'x')],
    ['an unnamed part behind the file', file('x') + part('Content-Disposition: form-data', 'x')],
    ['a huge header', part(['Content-Disposition: form-data; name="file"; filename="a"', `X-Long: ${'h'.repeat(100_000)}`], 'x')],
    ['a huge field name', field('n'.repeat(1000), '1') + file('x')],
    ['a very huge field name', field('n'.repeat(100_000), '1') + file('x')],
    [
      'many headers',
      part(['Content-Disposition: form-data; name="file"; filename="a"', ...Array.from({ length: 1000 }, (_, i) => `X-${i}: 1`)], 'x'),
    ],
    ['an unclosed quote', part('Content-Disposition: form-data; name="file; filename=a', 'x')],
    ['two dispositions', part(['Content-Disposition: form-data; name="file"', 'Content-Disposition: form-data; name="a"'], 'x')],
    ['a bare line feed in a header', part('Content-Disposition: form-data; name="file"\n; filename="a"', 'x')],
    ['an endless boundary line', `--${boundary}${' '.repeat(70_000)}\r\n${file('x')}`],
    ['a file in base64', part(['Content-Disposition: form-data; name="file"; filename="a"', 'Content-Transfer-Encoding: base64'], 'eA==')],
    ['thousands of fields', Array.from({ length: 5000 }, (_, i) => field(`f${i}`, '1')).join('') + file('x')],
    ['fields that are too large together', field('a', 'x'.repeat(40_000)) + file('x') + field('b', 'x'.repeat(40_000))],
    ['thousands of parts behind the file', file('x') + Array.from({ length: 5000 }, (_, i) => field(`f${i}`, '1')).join('')],
    ['thousands of empty parts', `--${boundary}\r\n`.repeat(5000) + file('x')],
    ['something behind a boundary', `--${boundary}junk\r\n${file('x')}`],
  ])('is refused with %s', async (_what, body) => {
    expect(await refused(body + end)).toMatchObject(invalid);
  });

  it('is refused with a field that is not in its charset', async () => {
    const [before, after] = field('a', '\u0000').split('\u0000') as [string, string];
    expect(await refused([before, Buffer.from([0xff, 0xfe]), after, file('x'), end])).toEqual({ ...invalid, field: 'a' });
  });

  const whole = field('a', '1') + file('0123456789') + field('b', '2') + end;
  const cuts: [string, string][] = [
    ['in the first boundary', `--${boundary.slice(0, 4)}`],
    ['in the headers of a field', whole.slice(0, 40)],
    ['in a field', whole.slice(0, whole.indexOf('\r\n\r\n1') + 5)],
    ['in the headers of the file', whole.slice(0, whole.indexOf('filename="a'))],
    ['behind the headers of the file', whole.slice(0, whole.indexOf('0123'))],
    ['in the file', whole.slice(0, whole.indexOf('56789'))],
    ['in the boundary behind the file', `${whole.slice(0, whole.indexOf('9\r\n--') + 8)}`],
    ['behind a field boundary', whole.slice(0, whole.indexOf('name="b"') - 30)],
    ['in a field behind the file', whole.slice(0, whole.indexOf('2\r\n--') + 1)],
    ['before the last dashes', whole.slice(0, -4)],
    ['between the last dashes', whole.slice(0, -3)],
  ];

  it.each(cuts)('is refused when it ends %s', async (_where, body) => {
    expect(await refused(body)).toMatchObject(invalid);
    expect(await refused([body], { length: null })).toMatchObject(invalid);
  });

  it.each(cuts)('is given up when the client goes away %s', async (_where, body) => {
    const connection = await RawConnection.open(server.url);
    await connection.write(
      `POST / HTTP/1.1\r\nHost: form\r\nContent-Type: multipart/form-data; boundary=${boundary}\r\nContent-Length: 1000000\r\n\r\n${body}`,
    );
    await expect.poll(server.open, { interval: 5 }).toBe(1);
    await delay(20);
    connection.destroy();
    await expect.poll(server.open, { interval: 5 }).toBe(0);
  });

  it('is given up when the client goes away while the reader is slow', async () => {
    server.pauseMs = 50;
    const connection = await RawConnection.open(server.url);
    await connection.write(
      `POST / HTTP/1.1\r\nHost: form\r\nContent-Type: multipart/form-data; boundary=${boundary}\r\nContent-Length: 1000000\r\n\r\n${file('').slice(0, -2)}`,
    );
    await connection.write(randomBytes(700_000));
    await expect.poll(server.open, { interval: 5 }).toBe(1);
    await delay(50);
    connection.destroy();
    await expect.poll(server.open, { interval: 5 }).toBe(0);
    server.pauseMs = 0;
  });

  it('is given up when the client was gone before anybody read it', async () => {
    const late = createServer((incoming) => {
      incoming.once('close', () => late.emit('late', openForm(incoming, { maxFileBytes: 2_000_000, fieldNames: [] })));
    }).listen(0, '127.0.0.1');
    await once(late, 'listening');
    const opened = once(late, 'late') as Promise<[Promise<UploadForm>]>;
    const connection = await RawConnection.open(`http://127.0.0.1:${(late.address() as AddressInfo).port}`);
    const headers = `Content-Type: multipart/form-data; boundary=${boundary}\r\nContent-Length: 1000000`;
    await connection.write(`POST / HTTP/1.1\r\nHost: form\r\n${headers}\r\n\r\n`);
    await once(late, 'request');
    connection.destroy();
    await expect((await opened)[0]).rejects.toThrow('The form is cut short.');
    late.close();
  });

  it('is refused when it is encoded as a whole, which nobody would decode', async () => {
    const connection = await RawConnection.open(server.url);
    const type = `Content-Type: multipart/form-data; boundary=${boundary}\r\nContent-Encoding: gzip`;
    await connection.write(`POST / HTTP/1.1\r\nHost: form\r\n${type}\r\nContent-Length: 1000\r\n\r\n`);
    const { status, body } = await connection.answer();
    connection.destroy();
    expect([status, JSON.parse(body)]).toMatchObject([415, { code: 'unsupported_media_type' }]);
  });

  it('is refused at once when it announces more than fits', async () => {
    const connection = await RawConnection.open(server.url);
    await connection.write(
      `POST / HTTP/1.1\r\nHost: form\r\nContent-Type: multipart/form-data; boundary=${boundary}\r\nContent-Length: 50000000\r\n\r\n`,
    );
    const answer = await connection.answer();
    connection.destroy();
    expect(answer.status).toBe(413);
  });

  it.each([
    ['preamble', `${'p'.repeat(70_000)}\r\n`.repeat(40) + file('x') + end],
    ['epilogue', file('x') + end + `${'p'.repeat(70_000)}\r\n`.repeat(40)],
  ])('does not keep an endless %s', async (_what, body) => {
    const answer = await server.post(body, { length: null });
    expect([200, 400, 413]).toContain(answer.status);
  });
});
