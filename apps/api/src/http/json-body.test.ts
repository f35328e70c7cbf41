import { createServer, IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';

import { sendProblem } from '@coffer/storage-core/http';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { RawConnection } from '../testing/raw-http.ts';
import { startApi } from '../testing/start-api.ts';
import type { TestApi } from '../testing/start-api.ts';
import { acme, admin, as } from '../testing/tokens.ts';
import { uploadFile } from '../testing/files.ts';
import { parseJson, readJson } from './json-body.ts';

describe('a JSON body', () => {
  let api: TestApi;
  let ann: { authorization: string };
  let path: string;
  const patch = (body: string | Uint8Array | undefined, headers: Record<string, string> = {}) =>
    api.send('PATCH', path, { headers: { ...ann, 'content-type': 'application/json', ...headers }, ...(body !== undefined && { body }) });
  const invalid = { status: 400, json: { code: 'validation_failed' } };

  beforeAll(async () => {
    api = await startApi();
    ann = await as('ann', { tenant: acme });
    path = `/api/v1/files/${(await uploadFile(api, ann)).json.id}`;
  });
  afterAll(() => api.stop());

  it.each(['application/json', 'application/json; charset=utf-8', 'APPLICATION/JSON', 'application/merge-patch+json'])(
    'is taken as %s',
    async (type) => {
      expect(await patch('{"filename":"ü.txt"}', { 'content-type': type })).toMatchObject({ status: 200, json: { filename: 'ü.txt' } });
    },
  );

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/jsonp', ''])(
    'is not taken as %s',
    async (type) => {
      expect(await patch('{"filename":"x"}', { 'content-type': type })).toMatchObject({
        status: 415,
        json: { code: 'unsupported_media_type' },
      });
    },
  );

  it('may be empty without a type, also in chunks, as a proxy sends it for a client with HTTP/2', async () => {
    const connection = await RawConnection.open(api.url);
    const head = `POST ${path}/presigned-download HTTP/1.1\r\nHost: a\r\nAuthorization: ${ann.authorization}\r\n`;
    const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n`;
    for (const [request, status] of [
      [`${head}\r\n`, 200],
      [`${chunked}0\r\n\r\n`, 200],
      [`${chunked}2\r\n{}\r\n0\r\n\r\n`, 415],
    ] as const) {
      await connection.write(request);
      expect(await connection.answer()).toMatchObject({ status });
    }
    connection.destroy();
  });

  it('is not taken compressed', async () => {
    expect(await patch('{}', { 'content-encoding': 'gzip' })).toMatchObject({ status: 415, json: { code: 'unsupported_media_type' } });
  });

  it.each([
    ['nothing', ''],
    ['white space', ' \n'],
    ['half of it', '{"filename":'],
    ['two', '{}{}'],
    ['a comment', '{} // x'],
    ['single quotes', "{'filename':'x'}"],
    ['a trailing comma', '{"filename":"x",}'],
    ['NaN', '{"filename":NaN}'],
    ['null', 'null'],
    ['an array', '[{"filename":"x"}]'],
    ['a string', '"{}"'],
    ['a number', '1'],
    ['a BOM and nothing', '\uFEFF'],
    ['deep arrays', `{"metadata":{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`],
    ['deep objects', `{"metadata":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}}`],
    ['deep arrays of long numbers', `{"metadata":{"a":${'['.repeat(100_000)}9007199254740993${']'.repeat(100_000)}}}`],
    ['a number without end', `{"filename":${'9'.repeat(900_000)}}`],
    ['only brackets', '['.repeat(500_000)],
  ])('is refused as %s', async (_what, body) => {
    const answer = await patch(body);
    expect(answer).toMatchObject(invalid);
    expect(answer.json.detail.length).toBeLessThan(1000);
  });

  it('is refused with a word of what is wrong', async () => {
    const message = expect.stringMatching(/^not valid JSON \(.*'x'/) as string;
    expect(await patch('{"filename":x}')).toMatchObject({ ...invalid, json: { errors: [{ field: 'body', message }] } });
  });

  it('is refused when it is not UTF-8', async () => {
    expect(await patch(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).toMatchObject(invalid);
    expect(await patch(Buffer.from('{"filename":"é"}', 'latin1'))).toMatchObject(invalid);
    expect(await patch(Buffer.from('{"filename":"x"}', 'utf16le'))).toMatchObject(invalid);
  });

  it('is refused when it is too large, announced or not', async () => {
    const large = JSON.stringify({ filename: 'x', more: 'x'.repeat(1_100_000) });
    expect(await patch(large)).toMatchObject({ status: 413, json: { code: 'payload_too_large' } });
    const chunked = { headers: { ...ann, 'content-type': 'application/json' }, body: Readable.from([Buffer.from(large)]) };
    expect(await api.send('PATCH', path, chunked)).toMatchObject({ status: 413, json: { code: 'payload_too_large' } });
    expect(await patch(JSON.stringify({ filename: 'x', storage_key: 'x'.repeat(1_000_000) }))).toMatchObject({ status: 200 });
  });

  it('is refused before any of it is asked for when it announces too much', async () => {
    const connection = await RawConnection.open(api.url);
    const type = `Authorization: ${ann.authorization}\r\nContent-Type: application/json`;
    await connection.write(`PATCH ${path} HTTP/1.1\r\nHost: a\r\n${type}\r\nExpect: 100-continue\r\nContent-Length: 1048577\r\n\r\n`);
    expect(await connection.answer()).toMatchObject({ status: 413 });
    connection.destroy();
  });

  it('takes the last of two equal names, and changes no prototype', async () => {
    expect(await patch('{"filename":"a","filename":"b"}')).toMatchObject({ status: 200, json: { filename: 'b' } });
    for (const body of ['{"__proto__":{"filename":"polluted"}}', '{"constructor":{"prototype":{"filename":"polluted"}}}'])
      expect(await patch(body)).toMatchObject(invalid);
    expect(await patch('{}')).toMatchObject({ status: 200, json: { filename: 'b' } });
    expect(await patch('{"metadata":{"__proto__":{"polluted":true}}}')).toMatchObject({
      status: 400,
      json: { code: 'validation_failed', errors: [{ field: 'metadata' }] },
    });
    expect(await patch('{"metadata":[]}')).toMatchObject({
      status: 400,
      json: { errors: [{ field: 'metadata', message: 'not a JSON object' }] },
    });
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it.each([
    ['numbers', `[${'1,'.repeat(500_000)}1234567890123456789]`],
    ['long numbers', `[${'1234567890123456789,'.repeat(50_000)}1]`],
    ['digits', `[1${'0'.repeat(1_000_000)}1]`],
    ['objects', `[${'{"a":1},'.repeat(125_000)}1234567890123456789]`],
    ['escapes', `["${'\\"'.repeat(500_000)}",1234567890123456789]`],
  ])('takes no time with %s', (_what, text) => {
    const before = process.cpuUsage();
    parseJson(text);
    expect(process.cpuUsage(before).user).toBeLessThan(500_000); // µs
  });

  it.each(['12345678901234567890', '9007199254740993', '-9007199254740993', '590295810358705651712'])(
    'is refused with a number whose digits would change, %s',
    async (n) => {
      const message = 'Must contain only numbers that are kept exactly: send one with more digits, or a larger one, as a string.';
      const refused = { status: 400, json: { code: 'validation_failed', errors: [{ field: 'metadata', message }] } };
      for (const metadata of [`{"id":${n}}`, `{"a":[{"b": ${n} }]}`, `{"__proto":[${n}]}`])
        expect(await patch(`{"metadata":${metadata}}`)).toMatchObject(refused);
      const form = new FormData();
      form.set('metadata', `{"id":${n}}`);
      form.set('file', new Blob(['x']), 'x.txt');
      const sent = await fetch(`${api.url}/api/v1/files/upload`, { method: 'POST', headers: ann, body: form });
      expect({ status: sent.status, json: await sent.json() }).toMatchObject(refused);
      const tenant = { headers: { ...(await admin()), 'content-type': 'application/json' }, body: `{"quota_bytes":${n}}` };
      expect(await api.send('PATCH', '/api/v1/admin/tenants/acme', tenant)).toMatchObject({
        status: 400,
        json: { errors: [{ field: 'quota_bytes' }] },
      });
    },
  );

  // A double as JavaScript prints it, such as 1795890986653000000, does not always have the exact digits of that double.
  it.each([
    '9007199254740992',
    '9007199254740994',
    '1795890986653000000',
    '-590295810358705700000',
    `1${'0'.repeat(30)}`,
    '0.1234567890123456789',
    '1e300',
    '1e-400',
  ])('may have the number %s, and what is like one in a string', async (number) => {
    const metadata = { n: Number(number), text: '9007199254740993, 1e400', '\\"9007199254740993': '' };
    expect(await patch(`{"metadata":{"n":${number},"text":"9007199254740993, 1e400","\\\\\\"9007199254740993":""}}`)).toMatchObject({
      status: 200,
      json: { metadata },
    });
  });

  it('may be left out where nothing in it is needed', async () => {
    expect(await api.send('POST', `${path}/presigned-download`, { headers: ann })).toMatchObject({ status: 200 });
    expect(
      await api.send('POST', `${path}/presigned-download`, { headers: { ...ann, 'content-type': 'application/json' }, body: '' }),
    ).toMatchObject({ status: 200 });
    const chunked = { headers: { ...ann, 'content-type': 'application/json' }, body: Readable.from([Buffer.from('\n')]) };
    expect(await api.send('POST', `${path}/presigned-download`, chunked)).toMatchObject({ status: 200 });
    expect(await api.send('PATCH', path, { headers: ann })).toMatchObject(invalid);
    expect(await api.send('POST', '/api/v1/storage/copy', { headers: await admin() })).toMatchObject(invalid);
  });
});

describe('a JSON body that does not arrive in time', () => {
  it('is given up after 30 seconds, though more of it keeps coming', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const incoming = new IncomingMessage(new Socket());
    incoming.headers = { 'content-type': 'application/json', 'transfer-encoding': 'chunked' };
    let end: unknown;
    void readJson(incoming).catch((error: unknown) => {
      end = error;
    });
    for (let second = 0; second < 30; second++) {
      expect(end).toBeUndefined();
      incoming.push(' ');
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(end).toMatchObject({ code: 'validation_failed' });
    vi.useRealTimers();
  });

  it('is answered, on a connection that is still up', async () => {
    const server = createServer((incoming, outgoing) => {
      readJson(incoming, { timeoutMs: 50 }).then(
        () => outgoing.end('read'),
        (error: unknown) => sendProblem(outgoing, error, 'test'),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    for (const framing of ['Content-Length: 100', 'Transfer-Encoding: chunked']) {
      const connection = await RawConnection.open(`http://127.0.0.1:${port}`);
      await connection.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${framing}\r\n\r\n`);
      if (framing.endsWith('chunked')) await connection.write('2\r\n{"\r\n');
      const answer = await connection.answer();
      expect(answer.status).toBe(400);
      expect(JSON.parse(answer.body)).toMatchObject({ code: 'validation_failed', detail: 'The body did not arrive in time.' });
      connection.destroy();
    }
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
});
