import { Readable } from 'node:stream';

import { noContext } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';
import { afterEach, describe, expect, it } from 'vitest';

import type { Administration } from '../administration.ts';
import type { Driver } from '../driver.ts';
import { leanDriver } from '../lean/driver.ts';
import { sdkDriver } from '../sdk/driver.ts';
import { settingsOf } from '../settings.ts';
import { scripted } from '../testing/scripted.ts';
import type { Answer } from '../testing/scripted.ts';
import type { Transport } from '../transport.ts';
import { connect } from './connection.ts';

const drivers = { lean: leanDriver, sdk: sdkDriver };
const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

async function driverTo(name: keyof typeof drivers, answer: Answer, timeout = 2): Promise<Driver> {
  const { endpoint, close } = await scripted(answer);
  const settings = settingsOf({ endpoint, accessKey: 'who', secretKey: 'secret', timeout, maxRetries: 0 });
  const connection = connect(settings);
  open.push(() => connection.close(), close);
  return drivers[name](settings, connection);
}

const answerOf =
  (status: number, headers: Readonly<Record<string, string>>, body: string): Answer =>
  (request, response) => {
    request.resume();
    request.once('end', () => response.writeHead(status, headers).end(request.method === 'HEAD' ? undefined : body));
  };
const page = (status: number): Answer => answerOf(status, { 'content-type': 'text/html' }, '<html>Welcome to the network</html>');

const bucket = 'bucket';
const at = { bucket, key: 'a b' };
const upload = { at, uploadId: 'id' };
const part = { ...upload, number: 1 };
const described = { contentType: 'text/plain' };
const data = Buffer.from('ten bytes!');
const blame = { code: 'storage_unavailable', retryable: false, message: expect.stringMatching(/no S3 server/) as string };

const objectCalls: readonly (readonly [string, (to: Transport) => unknown])[] = [
  ['put', (to) => to.put(at, { kind: 'buffer', data }, described, noContext)],
  ['get', (to) => to.get(at, {}, noContext)],
  ['head', (to) => to.head(at, noContext)],
  ['delete', (to) => to.delete(at, noContext)],
  ['deleteBatch', (to) => to.deleteBatch(bucket, [at], noContext)],
  ['createUpload', (to) => to.createUpload(at, described, noContext)],
  ['uploadPart', (to) => to.uploadPart(part, data, noContext)],
  ['completeUpload', (to) => to.completeUpload(upload, [{ number: 1, etag: 'e' }], {}, noContext)],
  ['abortUpload', (to) => to.abortUpload(upload, noContext)],
  ['list', (to) => to.list(bucket, {}, noContext)],
  ['headBucket', (to) => to.headBucket(bucket, noContext)],
  ['listBuckets', (to) => to.listBuckets({}, noContext)],
  ['getAcl', (to) => to.getAcl(at, noContext)],
  ['copy', (to) => to.copy(at, { bucket, key: 'c' }, {}, noContext)],
  ['copyPart', (to) => to.copyPart({ ...at, range: 'bytes=0-9' }, part, noContext)],
];

const bucketCalls: readonly (readonly [string, (to: Administration, ctx: CallContext) => unknown])[] = [
  ['createBucket', (to, ctx) => to.createBucket(bucket, {}, ctx)],
  ['deleteBucket', (to, ctx) => to.deleteBucket(bucket, ctx)],
  ['getLocation', (to, ctx) => to.getLocation(bucket, ctx)],
  ['getVersioning', (to, ctx) => to.getVersioning(bucket, ctx)],
  ['hasKeptVersions', (to, ctx) => to.hasKeptVersions(bucket, ctx)],
  ['setVersioning', (to, ctx) => to.setVersioning(bucket, true, ctx)],
  ['getRules', (to, ctx) => to.getRules(bucket, ctx)],
  ['putRules', (to, ctx) => to.putRules(bucket, [], ctx)],
  ['deleteRules', (to, ctx) => to.deleteRules(bucket, ctx)],
  ['putBucketAcl', (to, ctx) => to.putBucketAcl(bucket, 'public-read', ctx)],
  ['putObjectAcl', (to, ctx) => to.putObjectAcl(at, 'public-read', ctx)],
  ['getTags', (to, ctx) => to.getTags(at, ctx)],
  ['putTags', (to, ctx) => to.putTags(at, [{ name: 'n', value: 'v' }], ctx)],
  ['listVersions', (to, ctx) => to.listVersions(bucket, ctx)],
  ['listUploads', (to, ctx) => to.listUploads(bucket, undefined, ctx)],
];

describe.each(['lean', 'sdk'] as const)('an answer that is not from an S3 server (%s)', (name) => {
  it.each(objectCalls)('is no success, although it says 200: %s', async (_call, call) => {
    const { transport } = await driverTo(name, page(200));
    await expect(call(transport)).rejects.toMatchObject(blame);
  });

  it.each(bucketCalls)('is no success, although it says 200: %s', async (_call, call) => {
    const { administration } = await driverTo(name, page(200));
    await expect(call(administration, noContext)).rejects.toMatchObject(blame);
  });

  it('is no success of a call that changes something, although it has an ETag as pages do', async () => {
    const headers = { 'content-type': 'text/html', etag: '"e"', 'last-modified': new Date().toUTCString() };
    const { transport, administration } = await driverTo(name, answerOf(200, headers, '<HTML>Welcome</HTML>'));
    for (const [called, call] of objectCalls)
      if (!/^(?:get|head|list)/.test(called)) await expect(call(transport), called).rejects.toMatchObject(blame);
    for (const [called, call] of bucketCalls)
      if (/^(?:create|delete|put|set)/.test(called)) await expect(call(administration, noContext), called).rejects.toMatchObject(blame);
  });

  it.each([
    ['nothing', answerOf(200, {}, '')],
    ['204', answerOf(204, {}, '')],
    ['words', answerOf(200, { 'content-type': 'text/plain' }, 'It works!')],
    ['half of a document', answerOf(200, { 'content-type': 'application/xml' }, '<?xml version="1.0"?><ListBucketResult><Contents>')],
    ['another document', answerOf(200, { 'content-type': 'application/xml' }, '<Welcome><Key>a</Key></Welcome>')],
  ])('is no success of a call that is answered with a document: %s', async (_name, answer) => {
    const { transport, administration } = await driverTo(name, answer);
    const nameless = ['put', 'get', 'head', 'uploadPart', 'delete', 'abortUpload', 'headBucket'];
    for (const [called, call] of objectCalls)
      if (!nameless.includes(called)) await expect(call(transport), called).rejects.toMatchObject({ code: 'storage_unavailable' });
    for (const [called, call] of bucketCalls)
      if (/^(?:get|list)/.test(called))
        await expect(call(administration, noContext), called).rejects.toMatchObject({ code: 'storage_unavailable' });
  });

  it.each(['\n', '<!-- the end -->', ''])(
    'is a failure of all calls that are answered with a document if it is an error after a 200 (followed by "%s")',
    async (end) => {
      const error = `<?xml version="1.0"?><Error><Code>InternalError</Code><Message>no</Message></Error>${end}`;
      const { transport } = await driverTo(name, answerOf(200, { 'content-type': 'application/xml' }, error));
      for (const [called, call] of objectCalls)
        if (['deleteBatch', 'createUpload', 'completeUpload', 'list', 'listBuckets', 'getAcl', 'copy', 'copyPart'].includes(called))
          await expect(call(transport), called).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
      await expect(transport.get(at, {}, noContext)).rejects.toMatchObject(blame);
    },
  );

  it('is no success of a stream that was written if it is cut', async () => {
    const { transport } = await driverTo(name, (request, response) => {
      request.resume();
      request.once('end', () => {
        response.writeHead(200, { 'content-type': 'application/xml', etag: '"e"', 'content-length': '200' }).write('<?xml version="1.0"?>');
        setTimeout(() => response.destroy(), 20);
      });
    });
    const stream = Readable.from([data], { objectMode: false });
    const put = transport.put(at, { kind: 'stream', stream, size: data.length }, described, noContext);
    await expect(put).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
  });

  it('is a failure also of calls without a document if it is an error after a 200', async () => {
    const error = '<?xml version="1.0"?>\n<Error><Code>InternalError</Code><Message>no</Message></Error>';
    const { transport, administration } = await driverTo(name, answerOf(200, { 'content-type': 'application/xml', etag: '"e"' }, error));
    const stream = Readable.from([data], { objectMode: false });
    const put = transport.put(at, { kind: 'stream', stream, size: data.length }, described, noContext);
    await expect(put).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
    for (const [called, call] of objectCalls)
      if (['put', 'uploadPart', 'delete', 'abortUpload'].includes(called))
        await expect(call(transport), called).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
    for (const [called, call] of bucketCalls)
      if (/^(?:create|delete|put|set)/.test(called))
        await expect(call(administration, noContext), called).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
  });

  it.each([
    [
      'a time',
      '<ListAllMyBucketsResult><Buckets><Bucket><Name>b</Name><CreationDate>soon</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>',
    ],
    ['a key', '<ListVersionsResult><EncodingType>url</EncodingType><Version><Key>a%2</Key></Version></ListVersionsResult>'],
  ])('is blamed for %s in its documents that is malformed', async (_what, document) => {
    const { transport, administration } = await driverTo(name, answerOf(200, { 'content-type': 'application/xml' }, document));
    const call = document.includes('Versions') ? administration.listVersions(bucket, noContext) : transport.listBuckets({}, noContext);
    await expect(call).rejects.toMatchObject({ code: 'storage_unavailable' });
  });

  it('is malformed if there are more keys, but not where they begin', async () => {
    const list = '<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>';
    const { transport } = await driverTo(name, answerOf(200, {}, list));
    await expect(transport.list(bucket, {}, noContext)).rejects.toMatchObject({ code: 'storage_unavailable' });
  });

  it.each(['', ' \r\n'])('may be from S3 even if a document is labelled as HTML (Swift), and begins with %j', async (space) => {
    const document = `${space}<?xml version="1.0" encoding="UTF-8"?>\n<DeleteResult><Deleted><Key>a b</Key></Deleted></DeleteResult>`;
    const { transport } = await driverTo(name, answerOf(200, { 'content-type': 'text/html; charset=UTF-8' }, document));
    expect(await transport.deleteBatch(bucket, [at], noContext)).toEqual([]);
  });

  it('may be from S3 even if it lists a thousand of the longest keys', async () => {
    const entry = (index: number): string => `<Contents><Key>${'%C3%BC'.repeat(510)}${1000 + index}</Key><Size>1</Size></Contents>`;
    const entries = Array.from({ length: 1000 }, (_, index) => entry(index)).join('');
    const document = `<ListBucketResult><EncodingType>url</EncodingType>${entries}</ListBucketResult>`;
    const { transport } = await driverTo(name, answerOf(200, {}, document));
    expect((await transport.list(bucket, {}, noContext)).objects.at(-1)?.key).toBe(`${'ü'.repeat(510)}1999`);
  });

  it('may be from S3 even if it names the start of an upload differently (gofakes3)', async () => {
    const document = '<InitiateMultipartUpload><UploadId>1</UploadId></InitiateMultipartUpload>';
    const { transport } = await driverTo(name, answerOf(200, { 'content-type': 'text/xml' }, document));
    expect(await transport.createUpload(at, described, noContext)).toBe('1');
  });

  it('may be from S3 even if it names the list of versions after the bucket (gofakes3)', async () => {
    const document = '<ListBucketVersionsResult><Version><Key>a</Key><VersionId>null</VersionId></Version></ListBucketVersionsResult>';
    const { administration } = await driverTo(name, answerOf(200, { 'content-type': 'application/xml' }, document));
    expect(await administration.listVersions(bucket, noContext)).toEqual([{ key: 'a', versionId: 'null' }]);
  });

  it.each([302, 303, 308])('redirects elsewhere with %i, whatever was requested', async (status) => {
    const { transport } = await driverTo(name, answerOf(status, { location: 'http://127.0.0.1:1/login' }, ''));
    for (const [called, call] of objectCalls) await expect(call(transport), called).rejects.toMatchObject(blame);
  });

  it.each([
    ['', ''],
    ['eu-west-1', 'eu-west-1'],
  ])('may be from S3 even if it contains the region %j as requests do', async (place, expected) => {
    const document = `<CreateBucketConfiguration><LocationConstraint>${place}</LocationConstraint></CreateBucketConfiguration>`;
    const { administration } = await driverTo(name, answerOf(200, {}, document));
    expect((await administration.getLocation(bucket, noContext)) ?? '').toBe(expected);
  });

  it('is no success if it is an empty 200 without headers', async () => {
    const { transport } = await driverTo(name, answerOf(200, {}, ''));
    await expect(transport.put(at, { kind: 'buffer', data }, described, noContext)).rejects.toMatchObject(blame);
  });

  it.each([
    ['nothing', {}, ''],
    ['nothing of a length', { 'content-length': '0' }, ''],
    ['words', { 'content-type': 'text/plain' }, 'It works!'],
  ])('is not an object if it is a 200 with %s', async (_what, headers, body) => {
    const { transport } = await driverTo(name, answerOf(200, headers, body));
    await expect(transport.get(at, {}, noContext)).rejects.toMatchObject(blame);
    await expect(transport.head(at, noContext)).rejects.toMatchObject(blame);
  });

  it.each([{ etag: '"e"' }, { 'last-modified': new Date(1e12).toUTCString() }])(
    'may be from S3 even if it says nothing about an object but %j',
    async (headers) => {
      const { transport } = await driverTo(name, answerOf(200, { ...headers, 'content-length': '1' }, 'x'));
      expect(await transport.head(at, noContext)).toMatchObject({ contentLength: 1 });
      expect(await transport.get(at, {}, noContext)).toMatchObject({ kind: 'object', headers: { contentLength: 1 } });
    },
  );

  it('may be from S3 even if an empty answer is labelled as HTML', async () => {
    const { transport } = await driverTo(
      name,
      answerOf(200, { 'content-type': 'text/html; charset=utf-8', 'content-length': '0', etag: '"e"' }, ''),
    );
    expect(await transport.put(at, { kind: 'buffer', data }, described, noContext)).toEqual({ etag: 'e' });
    await transport.delete(at, noContext);
    await transport.headBucket(bucket, noContext);
    const deleting = await driverTo(name, answerOf(204, { 'content-type': 'text/html; charset=utf-8' }, '')); // needs no length
    await deleting.transport.delete(at, noContext);
  });

  it('may be from S3 if the requested object is a page', async () => {
    const { transport } = await driverTo(name, answerOf(200, { 'content-type': 'text/html', etag: '"e"' }, '<html>mine</html>'));
    expect(await transport.head(at, noContext)).toMatchObject({ etag: 'e', contentType: 'text/html' });
    const got = await transport.get(at, {}, noContext);
    expect(got).toMatchObject({ kind: 'object', headers: { etag: 'e', contentType: 'text/html' } });
    if (got.kind === 'object') expect((await got.body.toArray()).join('')).toBe('<html>mine</html>');
  });

  it.each([
    [page(404), 'file_not_found'],
    [answerOf(400, {}, ''), 'invalid_argument'],
  ])('cannot be recognized if it just refuses a HEAD', async (answer, code) => {
    const { transport } = await driverTo(name, answer);
    await expect(transport.head(at, noContext)).rejects.toMatchObject({ code });
  });

  it.each([
    ['sends to another scheme', 301, { location: 'https://127.0.0.1:1/bucket' }],
    ['sends elsewhere for now', 307, { location: 'https://127.0.0.1:1/bucket' }],
    ['is spoken to without its TLS', 400, { 'content-type': 'text/html', 'content-length': '248' }],
  ])('can be recognized at a HEAD if it %s', async (_what, status, headers) => {
    const { transport } = await driverTo(name, answerOf(status, headers, ''));
    await expect(transport.headBucket(bucket, noContext)).rejects.toMatchObject(blame);
    await expect(transport.head(at, noContext)).rejects.toMatchObject(blame);
    const ofS3 = await driverTo(name, answerOf(status, { ...headers, 'x-amz-request-id': 'tx1' }, ''));
    await expect(ofS3.transport.headBucket(bucket, noContext)).rejects.toMatchObject({
      message: expect.not.stringContaining('no S3 server'),
    });
  });

  it.each([302, 400, 403, 404, 418])('is blamed for its %i, not the caller', async (status) => {
    const { transport } = await driverTo(name, page(status));
    await expect(transport.get(at, {}, noContext)).rejects.toMatchObject(blame);
  });

  it.each([300, 400, 401, 404, 418])('is blamed for its %i with any other text', async (status) => {
    const { transport, administration } = await driverTo(name, answerOf(status, { 'content-type': 'application/json' }, '{"error":"no"}'));
    await expect(transport.get(at, {}, noContext)).rejects.toMatchObject(blame);
    await expect(transport.list(bucket, {}, noContext)).rejects.toMatchObject(blame);
    await expect(administration.deleteBucket(bucket, noContext)).rejects.toMatchObject(blame);
  });

  it('may be from S3 even if its error is nested in another element, as in other services', async () => {
    const error = '<ErrorResponse><Error><Code>NoSuchBucket</Code><Message>no</Message></Error><RequestId>1</RequestId></ErrorResponse>';
    const { transport, administration } = await driverTo(name, answerOf(404, { 'content-type': 'application/xml' }, error));
    await expect(transport.get(at, {}, noContext)).rejects.toMatchObject({ code: 'no_such_bucket' });
    await expect(administration.deleteBucket(bucket, noContext)).rejects.toMatchObject({ code: 'no_such_bucket' });
  });

  it('redirects elsewhere even with an error document like that of S3', async () => {
    const error = '<?xml version="1.0"?>\n<Error><Code>PermanentRedirect</Code></Error>';
    const { transport } = await driverTo(name, answerOf(302, { 'content-type': 'application/xml' }, error));
    await expect(transport.list(bucket, {}, noContext)).rejects.toMatchObject(blame);
  });

  it.each([
    [405, 'not_supported', false],
    [408, 'storage_unavailable', true],
    [411, 'invalid_argument', false],
    [412, 'precondition_failed', false],
    [413, 'payload_too_large', false],
    [414, 'invalid_argument', false],
    [416, 'range_not_satisfiable', false],
    [429, 'storage_unavailable', true],
    [431, 'invalid_argument', false],
    [500, 'storage_unavailable', true],
  ])('may be a proxy speaking for the server with %i', async (status, code, retryable) => {
    const { transport } = await driverTo(name, page(status));
    const put = transport.put(at, { kind: 'buffer', data }, described, noContext);
    await expect(put).rejects.toMatchObject({ code, retryable, message: expect.not.stringContaining('no S3 server') });
  });
});

it.each(['lean', 'sdk'] as const)(
  'a switch to another protocol is no answer, and nobody waits for one, nor keeps the connection (%s)',
  async (name) => {
    const closed = Promise.withResolvers<void>();
    const upgrading: Answer = ({ socket }) => {
      socket.once('close', closed.resolve);
      socket.write('HTTP/1.1 101 -\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n');
    };
    const { transport } = await driverTo(name, upgrading);
    const put = transport.put(at, { kind: 'stream', stream: Readable.from([data]), size: data.length }, described, noContext);
    await expect(put).rejects.toMatchObject(blame);
    await closed.promise;
  },
);

it.each(['lean', 'sdk'] as const)('an interim status without a final answer is no success, whatever headers it has (%s)', async (name) => {
  for (const headers of ['connection: upgrade\r\nupgrade: x', 'etag: "e"']) {
    const { transport, administration } = await driverTo(name, ({ socket }) => void socket.write(`HTTP/1.1 101 -\r\n${headers}\r\n\r\n`));
    for (const [called, call] of objectCalls) await expect(call(transport), called).rejects.toMatchObject(blame);
    for (const [called, call] of bucketCalls) await expect(call(administration, noContext), called).rejects.toMatchObject(blame);
    const stream = Readable.from([data], { objectMode: false });
    await expect(transport.put(at, { kind: 'stream', stream, size: data.length }, described, noContext)).rejects.toMatchObject(blame);
  }
});

describe('an answer to a pull that is not from an S3 server', () => {
  it.each([
    ['a page', page(200)],
    ['words', answerOf(200, { 'content-type': 'text/plain' }, 'It works!')],
  ])('is not passed on without a stream either: %s', async (_what, answer) => {
    const { transport } = await driverTo('lean', answer);
    const passed: unknown[] = [];
    const pull = transport.pull?.(at, {}, { begin: (head) => void passed.push(head), sink: (chunk) => void passed.push(chunk) }, noContext);
    await expect(pull).rejects.toMatchObject(blame);
    expect(passed).toEqual([]);
  });
});

it.each(['lean', 'sdk'] as const)('an object without a date holds no connection, whether it is accepted or not (%s)', async (name) => {
  const closed = Promise.withResolvers<void>();
  const timeless: Answer = (request, response) => {
    request.socket.once('close', closed.resolve);
    response.writeHead(200, { etag: '"e"', 'last-modified': 'some day', 'content-length': '300000' }).write(Buffer.alloc(200_000));
  };
  const { transport } = await driverTo(name, timeless, 30);
  const begun = performance.now();
  const got = await transport.get(at, {}, noContext).catch((error: unknown) => {
    expect(error).toMatchObject({ code: 'storage_unavailable' });
  });
  if (got?.kind === 'object') got.body.destroy();
  await closed.promise;
  expect(performance.now() - begun).toBeLessThan(20_000); // not just after the idle timeout
});

it.each(['lean', 'sdk'] as const)('an endless page instead of an object holds no connection (%s)', async (name) => {
  const closed = Promise.withResolvers<void>();
  const endless: Answer = (request, response) => {
    request.socket.once('close', closed.resolve);
    response.writeHead(200, { 'content-type': 'text/html' }).write('<html>');
  };
  const { transport } = await driverTo(name, endless, 30);
  const begun = performance.now();
  await expect(transport.get(at, {}, noContext)).rejects.toMatchObject({ code: 'storage_unavailable', retryable: false });
  await closed.promise;
  expect(performance.now() - begun).toBeLessThan(20_000); // not just after the idle timeout
});

it.each(['lean', 'sdk'] as const)('an endless page instead of a document is not collected (%s)', async (name) => {
  let sent = 0;
  const endless: Answer = (request, response) => {
    const piece = Buffer.alloc(2 ** 20, '<p>');
    const send = (): void => {
      while (sent < 200 * 2 ** 20 && !response.destroyed) {
        sent += piece.length;
        if (!response.write(piece)) return void response.once('drain', send);
      }
      response.end();
    };
    request.resume();
    response.writeHead(200, { 'content-type': 'text/html' });
    send();
  };
  const { transport } = await driverTo(name, endless, 30);
  await expect(transport.list(bucket, {}, noContext)).rejects.toMatchObject({ code: 'storage_unavailable' });
  expect(sent).toBeLessThan(100 * 2 ** 20);
});
