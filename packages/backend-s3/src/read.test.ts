import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import type { Readable } from 'node:stream';

import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import type { StorageBackend } from '@coffer/storage-core';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';

import { s3Backend } from './backend.ts';
import { openStore } from './open-store.ts';
import { awsProfile } from './profile.ts';
import { getObject } from './read.ts';
import { transports } from './testing/fault-bench.ts';
import { newStage } from './testing/lean.ts';
import { accountOn, startOn } from './testing/server.ts';

const at = { bucket: 'bucket', key: 'key' };

const unaskedMessage = 'The storage provider answered 304 to a read without such a condition.';

const { serve, backendTo, clear } = newStage();
afterEach(clear);

describe.each(transports)('an object that has not changed (%s)', (transport) => {
  it.each([
    ['the provider', ['x']],
    ['a look at it', ['x', 'y']],
  ])('returns its download slot if %s says so', async (_who, ifNoneMatch) => {
    const server = await serve((request, response) => {
      if (request.method === 'HEAD') response.writeHead(200, { etag: '"x"', 'content-length': 3 }).end();
      else if (request.headers['if-none-match'] === '"x"') response.writeHead(304, { etag: '"x"' }).end();
      else response.writeHead(200, { etag: '"x"', 'content-length': 3 }).end('abc');
    });
    const backend = backendTo(server, { transport, maxPoolConnections: 1 });
    for (let turn = 0; turn < 3; turn++) {
      expect(await backend.get(at, { ifNoneMatch }, noContext)).toMatchObject({ kind: 'not_modified', etag: 'x' });
    }
    expect(await backend.get(at, {}, noContext)).toMatchObject({ kind: 'object', info: { size: 3 } });
  });
});

it.each(transports)('an object under conditions that are evaluated here is read as the version that met them (%s)', async (transport) => {
  const server = await serve((request, response) => {
    if (request.method === 'HEAD') response.writeHead(200, { etag: '"x"', 'content-length': 3 }).end();
    else response.writeHead(200, { etag: '"x"', 'content-length': 3 }).end('abc');
  });
  await backendTo(server, { transport }).get(at, { ifNoneMatch: ['y', 'z'] }, noContext);
  expect(server.requests.map(({ method, headers }) => [method, headers['if-match']])).toEqual([
    ['HEAD', undefined],
    ['GET', '"x"'],
  ]);
});

it.each(transports)('metadata has any name, also one that JavaScript gives a meaning (%s)', async (transport) => {
  const server = await serve((_request, response) => {
    const described = { etag: '"x"', 'last-modified': new Date().toUTCString(), 'content-length': 3 };
    response.writeHead(200, { ...described, 'x-amz-meta-__proto__': 'x', 'x-amz-meta-constructor': 'y' }).end('abc');
  });
  const { metadata } = await backendTo(server, { transport }).head(at, noContext);
  expect(Object.entries(metadata).sort()).toEqual([
    ['__proto__', 'x'],
    ['constructor', 'y'],
  ]);
});

it.each(transports)('an object that has not changed has its ETag, even if the 304 leaves it out (%s)', async (transport) => {
  const server = await serve((request, response) => {
    if (request.method === 'HEAD') response.writeHead(200, { etag: '"x"', 'content-length': 3 }).end();
    else response.writeHead(304).end();
  });
  for (const condition of [{ ifModifiedSince: new Date(1e12) }, { ifNoneMatch: ['x'] }])
    expect(await backendTo(server, { transport }).get(at, condition, noContext)).toEqual({ kind: 'not_modified', etag: 'x' });
});

it.each(transports)('a not-modified object with an invalid date has no date (%s)', async (transport) => {
  const server = await serve((_request, response) => response.writeHead(304, { etag: '"x"', 'last-modified': 'some day' }).end());
  const read = await backendTo(server, { transport }).get(at, { ifNoneMatch: ['x'] }, noContext);
  expect(read).toEqual({ kind: 'not_modified', etag: 'x' });
});

describe.each(transports)('a 304 to a request without such a condition (%s)', (transport) => {
  it.each([
    ['without a condition', {}],
    ['with another condition', { ifMatch: ['x'] }],
    ['after a look at it', { ifNoneMatch: ['y', 'z'] }],
    ['of a part', { range: { start: 0, end: 1 } }],
  ])('fails as an error of the provider, not as one of ours: %s', async (_which, options) => {
    const server = await serve((request, response) => {
      if (request.method === 'HEAD') response.writeHead(200, { etag: '"x"', 'content-length': 3 }).end();
      else response.writeHead(304, { etag: '"x"' }).end();
    });
    const backend = backendTo(server, { transport, maxPoolConnections: 1 });
    for (let turn = 0; turn < 2; turn++)
      await expect(backend.get(at, options, noContext)).rejects.toMatchObject({ code: 'storage_unavailable', message: unaskedMessage });
    const sink = async (): Promise<void> => {};
    if (backend.pull !== undefined)
      await expect(backend.pull(at, {}, sink, noContext)).rejects.toMatchObject({ code: 'storage_unavailable', message: unaskedMessage });
  });
});

it.each(transports)(
  'a reader is called in the async context of its own call, over whichever socket the answer arrives (%s)',
  async (transport) => {
    const data = Buffer.alloc(1_000_000);
    const headers = { etag: '"x"', 'content-length': data.length, 'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT' };
    const server = await serve((_request, response) => response.writeHead(200, headers).end(data));
    const backend = backendTo(server, { transport, maxPoolConnections: 2 });
    const caller = new AsyncLocalStorage<string>();
    const heard = new Set<string>();
    const hear = (what: string): void => void heard.add(`${what} of ${caller.getStore()}`);
    for (const who of ['ann', 'bob']) {
      await caller.run(who, async () => {
        const read = await backend.get(at, {}, noContext);
        if (read.kind !== 'object') throw new Error('expected an object');
        for (const event of ['data', 'end', 'close']) read.body.on(event, () => hear(event));
        await once(read.body, 'close');
        await backend.pull?.(at, {}, () => hear('sink'), noContext);
      });
    }
    const events = ['data', 'end', 'close', ...(backend.pull === undefined ? [] : ['sink'])];
    expect([...heard].sort()).toEqual(['ann', 'bob'].flatMap((who) => events.map((event) => `${event} of ${who}`)).sort());
  },
);

it.each(transports)('a body is remembered no longer than it is open, however it ends (%s)', async (transport) => {
  const data = Buffer.alloc(1_000_000);
  const headers = { etag: '"x"', 'content-length': data.length, 'accept-ranges': 'bytes' };
  const { endpoint } = await serve((_request, response) => response.writeHead(200, headers).end(data));
  const store = openStore({ endpoint, accessKey: 'who', secretKey: 'secret', transport }, awsProfile);
  onTestFinished(() => store.connection.close());
  for (const end of [(body: Readable) => body.resume(), (body: Readable) => body.destroy()]) {
    const read = await getObject(store, at, {}, noContext);
    if (read.kind !== 'object') throw new Error('expected an object');
    expect([...store.slotHolders.values()]).toHaveLength(1);
    await once(end(read.body), 'close');
    expect([...store.slotHolders.values()]).toHaveLength(0);
  }
});

describe.each(transports)('an object with a Content-Encoding (%s)', (transport) => {
  it.each([
    ['gzip', 'gzip'],
    ['aws-chunked', undefined],
    ['aws-chunked,br', 'br'],
    ['', undefined],
    ['identity', undefined],
  ])('reports how to decode it: %s', async (told, contentEncoding) => {
    const headers = { etag: '"x"', 'content-length': 3, 'content-encoding': told };
    const server = await serve((request, response) => response.writeHead(200, headers).end(request.method === 'HEAD' ? '' : 'abc'));
    const backend = backendTo(server, { transport });
    const read = await backend.get(at, {}, noContext);
    expect(read.kind === 'object' && read.info.contentEncoding).toBe(contentEncoding);
    expect((await backend.head(at, noContext)).contentEncoding).toBe(contentEncoding);
  });
});

describe.each(transports)('a wrong range in an answer (%s)', (transport) => {
  const sent = async (contentRange: string): Promise<StorageBackend> => {
    const server = await serve((_request, response) =>
      response.writeHead(206, { etag: '"x"', 'content-length': 0, 'content-range': contentRange }).end(),
    );
    return backendTo(server, { transport });
  };

  it.each([
    ['of what was asked for as a whole', {}, 'bytes 0-2/10'],
    ['that was not asked for', { range: { start: 1, end: 3 } }, 'bytes 0-2/10'],
    ['that is shorter than what was asked for', { range: { start: 0, end: 5 } }, 'bytes 0-2/10'],
    ['from the beginning instead of the end', { range: { suffix: 3 } }, 'bytes 0-2/10'],
  ])('is not accepted: one %s', async (_what, options, contentRange) => {
    const server = await serve((_request, response) =>
      response.writeHead(206, { etag: '"x"', 'content-length': 3, 'content-range': contentRange }).end('abc'),
    );
    const reading = backendTo(server, { transport }).get(at, options, noContext);
    await expect(reading).rejects.toMatchObject({ code: 'not_supported' });
  });

  it.each([
    ['a part', { range: { start: 2, end: 5 } }, 'bytes 2-5/10'],
    ['all of it', {}, 'bytes 0-9/10'],
  ])('is not accepted if the number of bytes contradicts it: %s', async (_what, options, contentRange) => {
    const server = await serve((_request, response) =>
      response.writeHead(206, { etag: '"x"', 'content-length': 3, 'content-range': contentRange }).end('abc'),
    );
    const backend = backendTo(server, { transport });
    const wrong = { code: 'storage_unavailable', message: expect.stringContaining('3 bytes instead of') as string };
    await expect(backend.get(at, options, noContext)).rejects.toMatchObject(wrong);
    const passed: unknown[] = [];
    if (transport === 'lean')
      await expect(backend.pull?.(at, options, (chunk) => void passed.push(chunk), noContext)).rejects.toMatchObject(wrong);
    expect(passed).toEqual([]);
  });

  it('is not wrong if it covers the whole object', async () => {
    const server = await serve((_request, response) =>
      response.writeHead(206, { etag: '"x"', 'content-length': 3, 'content-range': 'bytes 0-2/3' }).end('abc'),
    );
    for (const options of [{}, { range: { suffix: 5 } }, { range: { start: 0, end: 9 } }])
      expect(await backendTo(server, { transport }).get(at, options, noContext)).toMatchObject({ kind: 'object', info: { size: 3 } });
  });

  it('means range_not_satisfiable for an empty object', async () => {
    const garage = await sent('bytes 0-18446744073709551615/0');
    await expect(garage.get(at, { range: { suffix: 5 } }, noContext)).rejects.toMatchObject({
      code: 'range_not_satisfiable',
      objectSize: 0,
    });
  });

  it('is not accepted if it is reversed, or ends after the object', async () => {
    for (const contentRange of ['bytes 5-10/10', 'bytes 6-5/10']) {
      const server = await sent(contentRange);
      await expect(server.get(at, { range: { suffix: 5 } }, noContext)).rejects.toMatchObject({ code: 'not_supported' });
    }
  });
});

describe.each(transports)('a server that ignores the conditions of reads (%s)', (transport) => {
  const modified = new Date('2024-01-02T03:04:05Z');
  const backend = async (): Promise<StorageBackend> => {
    const server = await serve((request, response) => {
      response.writeHead(200, { etag: '"x"', 'content-length': 3, 'last-modified': modified.toUTCString() });
      response.end(request.method === 'HEAD' ? undefined : 'abc');
    });
    return backendTo(server, { transport });
  };

  it('never delivers an object that the conditions rule out', async () => {
    const store = await backend();
    const failed = { code: 'precondition_failed' };
    await expect(store.get(at, { ifMatch: ['y'] }, noContext)).rejects.toMatchObject(failed);
    await expect(store.get(at, { ifUnmodifiedSince: new Date(0) }, noContext)).rejects.toMatchObject(failed);
    const pulled: Buffer[] = [];
    if (store.pull !== undefined)
      await expect(store.pull(at, { ifMatch: 'y' }, (chunk) => void pulled.push(chunk), noContext)).rejects.toMatchObject(failed);
    expect(pulled).toEqual([]);
    expect(await store.get(at, { ifMatch: ['x'] }, noContext)).toMatchObject({ kind: 'object', info: { etag: 'x' } });
  });

  it('holds no connection with an unchanged object that it sends', async () => {
    const large = Buffer.alloc(4 * 2 ** 20);
    const server = await serve((_request, response) => response.writeHead(200, { etag: '"x"', 'content-length': large.length }).end(large));
    const store = backendTo(server, { transport, maxPoolConnections: 1, timeout: 2 });
    for (let turn = 0; turn < 3; turn++)
      expect(await store.get(at, { ifNoneMatch: ['x'] }, noContext)).toMatchObject({ kind: 'not_modified', etag: 'x' });
  });

  it('may send an unchanged object, which is reported as not modified', async () => {
    const store = await backend();
    const same = { kind: 'not_modified', etag: 'x', lastModified: modified };
    expect(await store.get(at, { ifNoneMatch: ['x'] }, noContext)).toEqual(same);
    expect(await store.get(at, { ifModifiedSince: modified }, noContext)).toEqual(same);
    expect(await store.get(at, { ifNoneMatch: ['y'] }, noContext)).toMatchObject({ kind: 'object' });
  });
});

it.each(transports)('a list is empty if the server holds no key that begins with the prefix (%s)', async (transport) => {
  let status = 200;
  const page = (key: string): string =>
    `<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>${key}</Key><Size>1</Size></Contents></ListBucketResult>`;
  const missing = '<Error><Code>NoSuchBucket</Code></Error>';
  const server = await serve(({ url = '' }, response) => {
    const prefix = new URLSearchParams(url.split('?')[1]).get('prefix') ?? '';
    response.writeHead(status).end(status === 200 ? page(`${prefix}x`) : missing);
  });
  const profile = { ...awsProfile, refusedKeys: ['empty segments', 'a segment ".uploads"'] } as const;
  const backend = backendTo(server, { transport }, profile);
  const keys = async (prefix: string): Promise<readonly string[]> =>
    (await backend.list('bucket', { prefix }, noContext)).objects.map(({ key }) => key);
  for (const prefix of ['/', '/a', 'a//', 'a//b', '.uploads/', 'a/.uploads/b']) expect(await keys(prefix)).toEqual([]);
  for (const prefix of ['', 'a', 'a/', '.uploads', 'a.']) expect(await keys(prefix)).toEqual([`${prefix}x`]);
  status = 404;
  await expect(keys('a//')).rejects.toMatchObject({ code: 'no_such_bucket' });
});

it.each(transports)('a list with any delimiter continues after the greatest prefix, wherever it is in the page (%s)', async (transport) => {
  const page =
    '<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>' +
    '<CommonPrefixes><Prefix>k-</Prefix></CommonPrefixes><CommonPrefixes><Prefix>d-</Prefix></CommonPrefixes></ListBucketResult>';
  const end = '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>';
  const server = await serve((request, response) => response.writeHead(200).end(request.url?.includes('start-after=') ? end : page));
  const backend = backendTo(server, { transport });
  const { commonPrefixes, nextContinuationToken = '' } = await backend.list('bucket', { delimiter: '-', maxKeys: 2 }, noContext);
  expect(commonPrefixes).toEqual(['d-', 'k-']);
  await backend.list('bucket', { delimiter: '-', maxKeys: 2, continuationToken: nextContinuationToken }, noContext);
  expect(new URL(`http://x${server.requests.at(-1)?.url}`).searchParams.get('start-after')).toBe('k-\u{10FFFF}');
});

it.each(transports)('a list with any delimiter ends if the server ignores start-after (%s)', async (transport) => {
  const page =
    '<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>' +
    '<CommonPrefixes><Prefix>a-</Prefix></CommonPrefixes></ListBucketResult>';
  const server = await serve((_request, response) => response.writeHead(200, { 'content-type': 'application/xml' }).end(page));
  const backend = backendTo(server, { transport });
  const options = { delimiter: '-', maxKeys: 1 };
  const { nextContinuationToken: continuationToken } = await backend.list('bucket', options, noContext);
  const next = backend.list('bucket', { ...options, ...(continuationToken !== undefined && { continuationToken }) }, noContext);
  await expect(next).rejects.toMatchObject({ code: 'not_supported' });
});

it.each(transports)(
  'an absent object is refused with both permissions to credentials that may read objects, but not list them (%s)',
  async (transport) => {
    const server = await startS3('ceph');
    const { backend, bucket, stop } = await startOn({ ...(await accountOn(server)), transport });
    onTestFinished(stop);
    const reader = s3Backend({ ...(await accountOn(server)), transport });
    onTestFinished(() => Promise.all([backend.close(), reader.close()]).then(() => {}));
    const body = { kind: 'buffer', data: Buffer.from('x') } as const;
    await backend.put({ bucket, key: 'present' }, body, { contentType: 'text/plain', acl: 'public-read' }, noContext);
    expect(await reader.head({ bucket, key: 'present' }, noContext)).toMatchObject({ size: 1 });
    const missing = {
      code: 'access_denied',
      message: expect.stringContaining('lack the permission s3:GetObject or s3:ListBucket.') as string,
    };
    await expect(reader.head({ bucket, key: 'absent' }, noContext)).rejects.toMatchObject(missing);
    await expect(reader.get({ bucket, key: 'absent' }, {}, noContext)).rejects.toMatchObject(missing);
    const pulled = reader.pull?.({ bucket, key: 'absent' }, {}, () => {}, noContext);
    if (pulled !== undefined) await expect(pulled).rejects.toMatchObject(missing);
  },
);
