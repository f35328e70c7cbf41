import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Readable } from 'node:stream';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { boundary, end, field, file, part, startFormServer } from '../testing/form-server.ts';
import type { FormServer, ReadForm } from '../testing/form-server.ts';
import { RawConnection } from '../testing/raw-http.ts';
import { openForm } from './form.ts';
import type { UploadForm } from './form.ts';

const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');

// A small form that announces its length is read whole; any other is a stream.
describe.each([
  ['that announces its length', {}],
  ['of unknown length', { length: null }],
])('a form %s', (_how, framing) => {
  let server: FormServer;
  const maxFileBytes = 1_000_000;

  beforeAll(async () => {
    server = await startFormServer(maxFileBytes);
  });
  afterAll(() => server.close());

  const read = async (body: Parameters<FormServer['post']>[0], options?: Parameters<FormServer['post']>[1]): Promise<ReadForm> => {
    const answer = await server.post(body, { ...framing, ...options });
    expect(answer).toMatchObject({ status: 200 });
    return JSON.parse(answer.body) as ReadForm;
  };

  it('gives the file, and the fields on both sides of it', async () => {
    const form = await read(field('a', '1') + file('Hello') + field('b', '2') + end);
    expect(form).toEqual({ filename: 'a.txt', contentType: 'text/plain', size: 5, sha256: sha256('Hello'), fields: { a: '1', b: '2' } });
  });

  it('takes a field that browsers gave a file name, since it is a Blob', async () => {
    expect(await read(file('{"a":1}', 'blob', 'metadata') + file('Hello') + end)).toMatchObject({
      filename: 'a.txt',
      size: 5,
      fields: { metadata: '{"a":1}' },
    });
  });

  it('takes an empty file', async () => {
    expect(await read(file('') + end)).toMatchObject({ size: 0, sha256: sha256(''), filename: 'a.txt' });
  });

  it('takes an empty file whose part has no file name, unlike one that nobody chose', async () => {
    expect(await read(part('Content-Disposition: form-data; name="file"') + end)).toMatchObject({ size: 0 });
  });

  it('takes 32 fields, and 65,536 bytes in them, and refuses more of either', async () => {
    const names = Array.from({ length: 32 }, (_, index) => `f${index}`);
    const values = Object.fromEntries(names.map((name) => [name, 'x'.repeat(2048)]));
    const fields = names.map((name) => field(name, 'x'.repeat(2048))).join('');
    expect((await read(fields + file('Hello') + end)).fields).toEqual(values);
    for (const [one, message] of [
      [fields + field('more', ''), 'The form has more than 32 fields.'],
      [fields.replace('x', 'xx'), 'the fields of a form must have at most 65536 bytes in total'],
    ] as const) {
      const answer = await server.post(one + file('Hello') + end, framing);
      expect(answer).toMatchObject({ status: 400, body: expect.stringContaining(message) });
    }
  });

  it('takes a file whose part has no file name and no type', async () => {
    const form = await read(part('Content-Disposition: form-data; name="file"', 'bare') + end);
    expect(form).toMatchObject({ size: 4 });
    expect(form.filename).toBeUndefined();
  });

  it.each([
    ['UTF-8 as browsers send it', 'filename="naïve 日本 😀.txt"', 'naïve 日本 😀.txt'],
    ['the extended form', "filename*=UTF-8''na%C3%AFve%20%F0%9F%98%80.txt", 'naïve 😀.txt'],
    ['both forms', 'filename="naive.txt"; filename*=UTF-8\'\'na%C3%AFve.txt', 'naïve.txt'],
    ['both forms, the extended one first', 'filename*=UTF-8\'\'na%C3%AFve.txt; filename="naive.txt"', 'naïve.txt'],
    ['both forms, the extended one in no charset that it may have', 'filename="naive.txt"; filename*=x\'\'na%EFve.txt', 'naive.txt'],
    ['both forms, the extended one no UTF-8', 'filename="naive.txt"; filename*=UTF-8\'\'na%EFve.txt', 'naive.txt'],
    ['an escaped quote', String.raw`filename="a\"b.txt"`, 'a"b.txt'],
    ['a quote as browsers escape it', 'filename="a%22b.txt"', 'a"b.txt'],
    ['a percent sign', 'filename="100%.txt"', '100%.txt'],
    ['no quotes', 'filename=plain.txt', 'plain.txt'],
    ['a semicolon', 'filename="a;b.txt"', 'a;b.txt'],
    ['a path of Windows', String.raw`filename="C:\fakepath\report.pdf"`, 'report.pdf'],
    ['a path', 'filename="../../etc/passwd"', 'passwd'],
  ])('reads a file name with %s', async (_what, parameter, filename) => {
    expect(await read(part(`Content-Disposition: form-data; name="file"; ${parameter}`, 'x') + end)).toMatchObject({ filename });
  });

  it('tells of the fields before the file as soon as the file begins', async () => {
    const form = field('a', '1') + file('Hello') + field('b', '2') + end;
    for (const at of [form.indexOf('ello'), form.indexOf('Hello') + 5])
      expect(await read([form.slice(0, at), form.slice(at)])).toMatchObject({ fields: { a: '1', b: '2' } });
  });

  it.each(['', '..', '.', 'dir/', '/'])('takes "%s" for no file name', async (name) => {
    expect((await read(file('x', name) + end)).filename).toBeUndefined();
  });

  it('reads names and values in UTF-8 or in the declared charset', async () => {
    const latin = part(['Content-Disposition: form-data; name="latin"', 'Content-Type: text/plain; charset=iso-8859-1'], '\u0000');
    const [before, after] = latin.split('\u0000') as [string, string];
    const form = await read([field('ключ', 'значение'), before, Buffer.from([0xe9]), after, file('x'), end]);
    expect(form.fields).toEqual({ ключ: 'значение', latin: 'é' });
  });

  it('keeps bytes that look like the boundary', async () => {
    const body = `\r\n--${boundary.slice(0, -1)}\r\n--\r\n\r\n-${boundary}--${boundary}\r\n-\n--${boundary}`;
    expect(await read(file(body) + field('after', 'yes') + end)).toMatchObject({ sha256: sha256(body), fields: { after: 'yes' } });
  });

  it('is the same form however it is cut into chunks', async () => {
    const data = Buffer.concat([randomBytes(3000), Buffer.from(`\r\n--${boundary.slice(0, 7)}`), randomBytes(300), Buffer.from('\r\n-')]);
    const whole = Buffer.concat([
      Buffer.from(`${field('a', '1')}--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n`),
      data,
      Buffer.from(`\r\n${field('b', 'ü')}${end}`),
    ]);
    const expected = { size: data.length, sha256: sha256(data), fields: { a: '1', b: 'ü' } };
    for (const size of [1, 2, 7, 64, 1021]) {
      const chunks = Array.from({ length: Math.ceil(whole.length / size) }, (_, i) => whole.subarray(i * size, (i + 1) * size));
      expect(await read(chunks)).toMatchObject(expected);
    }
  });

  it('ignores a preamble and an epilogue', async () => {
    const form = await read(`This is a form.\r\nReally.\r\n${file('x')}${end}And this its end.\r\n--${boundary}\r\n`);
    expect(form).toMatchObject({ size: 1, fields: {} });
  });

  it('takes white space behind a boundary and folded headers', async () => {
    const body = `--${boundary} \t\r\nContent-Disposition: form-data;\r\n name="file";\r\n\tfilename="f.txt"\r\n\r\nx\r\n--${boundary}--  \r\n`;
    expect(await read(body)).toMatchObject({ filename: 'f.txt', size: 1 });
  });

  it.each([`"${boundary}"`, `${boundary}; charset=utf-8`, `"a b?=,"`, "'()+_,-./:=?"])('takes the boundary %s', async (value) => {
    const real = value.startsWith('"') ? value.slice(1, -1) : (value.split(';')[0] as string);
    const body = (file('x') + end).replaceAll(boundary, real);
    const parameter = /^["\w]/.test(value) ? value : `"${value}"`;
    expect(await read(body, { type: `Multipart/Form-Data; Boundary=${parameter}` })).toMatchObject({ size: 1 });
  });

  it('does not look into a file that is a form itself', async () => {
    const inner = '--inner\r\nContent-Disposition: form-data; name="file"; filename="b"\r\n\r\ny\r\n--inner--\r\n';
    const outer = part(
      ['Content-Disposition: form-data; name="file"; filename="a"', 'Content-Type: multipart/mixed; boundary=inner'],
      inner,
    );
    expect(await read(outer + end)).toMatchObject({ sha256: sha256(inner) });
  });

  it('takes a file of exactly the largest size and refuses one byte more', async () => {
    expect(await read(file('x'.repeat(maxFileBytes)) + end)).toMatchObject({ size: maxFileBytes });
    const answer = await server.post(file('x'.repeat(maxFileBytes + 1)) + end, framing);
    expect(answer.status).toBe(413);
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'payload_too_large' });
  });

  it('reads no faster than its reader', async () => {
    server.pauseMs = 2;
    const data = randomBytes(900_000);
    const form = await read([
      `--${boundary}\r\nContent-Disposition: form-data; name="file"\r\n\r\n`,
      data,
      `\r\n${field('last', '1')}${end}`,
    ]);
    server.pauseMs = 0;
    expect(form).toMatchObject({ sha256: sha256(data), fields: { last: '1' } });
  });
});

it('a form is not read without end while nobody reads its file', async () => {
  const opened = Promise.withResolvers<UploadForm>();
  const server = createServer((incoming) => {
    opened.resolve(openForm(incoming, { maxFileBytes: 100_000_000, fieldNames: [] }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const connection = await RawConnection.open(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const headers = `Content-Type: multipart/form-data; boundary=${boundary}\r\nContent-Length: 50000000`;
  await connection.write(`POST / HTTP/1.1\r\nHost: form\r\n${headers}\r\n\r\n${file('').slice(0, -2)}`);
  void connection.write(Buffer.alloc(40_000_000));
  const stream = (await opened.promise).file as Readable;
  await expect.poll(() => stream.readableLength).toBeGreaterThan(200_000);
  await new Promise((resolve) => setTimeout(resolve, 300)); // enough for all of it to arrive
  expect(stream.readableLength).toBeLessThan(1_000_000);
  connection.destroy();
  server.close();
});
