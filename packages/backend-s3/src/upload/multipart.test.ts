import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import { bodyOf, noContext } from '@coffer/storage-core';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';

import { openStore } from '../open-store.ts';
import { awsProfile } from '../profile.ts';
import { eventually } from '../testing/eventually.ts';
import { transports } from '../testing/fault-bench.ts';
import { newStage } from '../testing/lean.ts';
import { answering, ok, refusal } from '../testing/scripted.ts';
import { writeByParts } from './multipart.ts';

const { serve, backendTo, clear } = newStage();
afterEach(clear);

/** Starts an upload, accepts its parts, and completes it. */
const taking: ReturnType<typeof answering> = (request, response) => {
  const { method, url = '' } = request;
  if (method !== 'POST') return answering('', { etag: '"e"' })(request, response);
  const document = url.includes('uploads')
    ? '<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>'
    : '<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>';
  return answering(document)(request, response);
};

it.each(
  transports.flatMap((transport) => [
    [transport, noContext] as const,
    [transport, { signal: new AbortController().signal }] as const, // of a caller who stays
  ]),
)('once a part has failed, the others stop being sent (%s, %j)', async (transport, ctx) => {
  const begun = answering('<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>');
  const first = Promise.withResolvers<void>();
  let isStopped = false;
  const server = await serve(async (request, response) => {
    const { method, url = '' } = request;
    if (method === 'POST') return begun(request, response);
    if (method === 'DELETE') return response.writeHead(204).end();
    request.resume();
    if (url.includes('partNumber=1&')) {
      request.socket.once('close', () => (isStopped = true));
      return first.resolve(); // never answered
    }
    await first.promise;
    return refusal(403, 'AccessDenied')(request, response);
  });
  const data = Buffer.alloc(12 * 2 ** 20);
  const put = backendTo(server, { transport, timeout: 600 }).put(
    { bucket: 'bucket', key: 'key' },
    { kind: 'buffer', data },
    { contentType: 'text/plain' },
    ctx,
  );
  const outcome = put.catch((error: unknown) => error);
  await eventually(() => isStopped).toBe(true);
  expect(await outcome).toMatchObject({ code: 'access_denied' });
  expect(server.requests.at(-1)?.method).toBe('DELETE');
});

it.each(transports)('an upload whose caller leaves while it is created is aborted once it exists (%s)', async (transport) => {
  const [asked, left] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const server = await serve(async (request, response) => {
    if (request.method === 'DELETE') return response.writeHead(204).end();
    asked.resolve();
    await left.promise;
    return taking(request, response);
  });
  const caller = new AbortController();
  const body = { kind: 'buffer', data: Buffer.alloc(9 * 2 ** 20) } as const;
  const put = backendTo(server, { transport }).put({ bucket: 'bucket', key: 'key' }, body, { contentType: 'text/plain' }, caller);
  const outcome = put.catch((error: unknown) => error);
  await asked.promise;
  caller.abort(new Error('no more'));
  expect(await outcome).toMatchObject({ message: 'no more' });
  left.resolve();
  await eventually(() => server.requests.map(({ method }) => method)).toEqual(['POST', 'DELETE']);
});

it('an upload whose caller leaves just before it is completed becomes no object', async () => {
  const server = await serve((request, response) => {
    return request.method === 'DELETE' ? response.writeHead(204).end() : taking(request, response);
  });
  const store = openStore({ endpoint: server.endpoint, accessKey: 'who', secretKey: 'secret' }, awsProfile);
  onTestFinished(() => store.connection.close());
  const caller = new AbortController();
  const parts = { next: async () => undefined, verify: async () => caller.abort(new Error('no more')) };
  const writing = writeByParts(store, { bucket: 'bucket', key: 'key' }, { headers: { contentType: 'text/plain' }, parts }, caller);
  await expect(writing).rejects.toThrow('no more');
  expect(server.requests.map(({ method }) => method)).toEqual(['POST', 'DELETE']);
});

it.each(transports)('once a part has failed, nobody waits for a client that sends nothing more (%s)', async (transport) => {
  const begun = answering('<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>');
  const server = await serve((request, response) => {
    if (request.method === 'POST') return begun(request, response);
    if (request.method === 'DELETE') return response.writeHead(204).end();
    return refusal(403, 'AccessDenied')(request, response);
  });
  const stream = new Readable({ read() {} });
  stream.push(Buffer.alloc(9 * 2 ** 20)); // one part and some of the next
  const body = { kind: 'stream', stream } as const;
  const put = backendTo(server, { transport }).put({ bucket: 'bucket', key: 'key' }, body, { contentType: 'text/plain' }, noContext);
  await expect(put).rejects.toMatchObject({ code: 'access_denied' });
  expect(stream.destroyed).toBe(true);
  expect(server.requests.map(({ method }) => method)).toEqual(['POST', 'PUT', 'DELETE']);
});

describe.each(transports)('an object of parts (%s)', (transport) => {
  const [data, partSum] = [Buffer.alloc(9 * 2 ** 20), '0123456789abcdef'.repeat(2)];
  const madeOfParts = `${createHash('md5')
    .update(Buffer.from(partSum.repeat(2), 'hex'))
    .digest('hex')}-2`;

  it.each([
    ['that the server tells', '<ETag>"told-2"</ETag>', 'told-2'],
    ['that S3 makes of its parts, where the server tells none', '', madeOfParts],
  ])('has the ETag %s, and its version', async (_what, told, etag) => {
    const server = await serve((request, response) => {
      const { method, url = '' } = request;
      if (method === 'PUT') return answering('', { etag: `"${partSum}"` })(request, response);
      if (url.includes('uploads'))
        return answering('<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>')(request, response);
      const document = `<CompleteMultipartUploadResult>${told}</CompleteMultipartUploadResult>`;
      return answering(document, { 'x-amz-version-id': 'version' })(request, response);
    });
    const at = { bucket: 'bucket', key: 'key' };
    const body = { kind: 'buffer', data } as const;
    const info = await backendTo(server, { transport }).put(at, body, { contentType: 'text/plain' }, noContext);
    expect(info).toMatchObject({ etag, versionId: 'version', size: data.length });
  });
});

it.each(transports)('a buffer whose memory shrinks between two parts is refused (%s): the object would be shorter', async (transport) => {
  const memory = new ArrayBuffer(9 * 2 ** 20, { maxByteLength: 9 * 2 ** 20 });
  const server = await serve((request, response) => {
    if (request.method === 'PUT') memory.resize(6 * 2 ** 20);
    return taking(request, response);
  });
  const put = backendTo(server, { transport, partSize: 5 * 2 ** 20, partsAtOnce: 1 }).put(
    { bucket: 'bucket', key: 'key' },
    { kind: 'buffer', data: new Uint8Array(memory) },
    { contentType: 'text/plain' },
    noContext,
  );
  await expect(put).rejects.toMatchObject({ code: 'invalid_argument' });
  expect(server.requests.map(({ method }) => method)).toEqual(['POST', 'PUT', 'DELETE']);
});

it.each(transports)(
  'an object of parts is described when the upload is created, and has its condition when it is completed (%s)',
  async (transport) => {
    const begun = answering('<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>');
    const completed = answering('<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>');
    const server = await serve((request, response) => {
      if (request.method === 'PUT') return ok(request, response);
      return (request.url?.includes('uploads') === true ? begun : completed)(request, response);
    });
    const backend = backendTo(server, { transport });
    const described = { contentType: 'text/plain', storageClass: 'STANDARD_IA', metadata: { a: 'b' }, acl: 'public-read' } as const;
    for (const condition of [{ ifNoneMatch: '*' }, { ifMatch: 'etag' }] as const) {
      const body = { kind: 'buffer', data: Buffer.alloc(9 * 2 ** 20) } as const;
      await backend.put({ bucket: 'bucket', key: 'key' }, body, { ...described, ...condition }, noContext);
    }
    const names = ['content-type', 'x-amz-storage-class', 'x-amz-meta-a', 'x-amz-acl'];
    const posted = server.requests.filter(({ method }) => method === 'POST').map(({ headers }) => headers);
    const conditions = posted.map((headers) => [headers['if-none-match'], headers['if-match']]);
    const none = [undefined, undefined];
    expect(conditions).toEqual([none, ['*', undefined], none, [undefined, '"etag"']]);
    for (const headers of [posted[0], posted[2]]) {
      expect(names.map((name) => headers?.[name])).toEqual(['text/plain', 'STANDARD_IA', 'b', 'public-read']);
    }
  },
);

it.each(transports.flatMap((transport) => [502, 504, 520, 524].map((status) => [status, transport] as const)))(
  'an upload is not aborted if a gateway answers its completion with %i: the server may still be at it (%s)',
  async (status, transport) => {
    const server = await serve((request, response) => {
      if (request.method !== 'POST' || request.url?.includes('uploads') === true) return taking(request, response);
      request.resume();
      return response.writeHead(status, { 'content-type': 'text/html' }).end('<html>It takes too long.</html>');
    });
    const body = { kind: 'buffer', data: Buffer.alloc(9 * 2 ** 20) } as const;
    const backend = backendTo(server, { transport, maxRetries: 0 });
    const put = backend.put({ bucket: 'bucket', key: 'key' }, body, { contentType: 'text/plain' }, noContext);
    await expect(put).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
    expect(server.requests.map(({ method }) => method)).toEqual(['POST', 'PUT', 'PUT', 'POST']);
  },
);

it('parts of a stream are as large as its hint asks for, so that there are not too many of them', async () => {
  const sizes: number[] = [];
  const server = await serve((request, response) => {
    if (request.method === 'PUT') sizes.push(Number(request.headers['content-length']));
    return taking(request, response);
  });
  const stream = Readable.from(Array.from({ length: 30 }, () => Buffer.alloc(2 ** 20)));
  const body = { kind: 'stream', stream, sizeHint: 100 * 2 ** 30 } as const;
  await backendTo(server).put({ bucket: 'bucket', key: 'key' }, body, { contentType: 'text/plain' }, noContext);
  expect(sizes.map((size) => size / 2 ** 20).toSorted((a, b) => b - a)).toEqual([11, 11, 8]);
});

it.each([
  ['of an object that AWS takes', 6 * 2 ** 40, awsProfile.maxParts, [9]],
  ['that no object has', 49 * 2 ** 40, awsProfile.maxParts, [8, 1]],
  ['that no object has here', 6 * 2 ** 40, 1000, [8, 1]],
])('a hint %s decides how large parts may be: %i bytes in %i parts', async (_what, sizeHint, maxParts, expected) => {
  const sizes: number[] = [];
  const server = await serve((request, response) => {
    if (request.method === 'PUT') sizes.push(Number(request.headers['content-length']));
    return taking(request, response);
  });
  const stream = Readable.from(Array.from({ length: 9 }, () => Buffer.alloc(2 ** 20)));
  await backendTo(server, {}, { ...awsProfile, maxParts }).put(
    { bucket: 'bucket', key: 'key' },
    { kind: 'stream', stream, sizeHint },
    { contentType: 'text/plain' },
    noContext,
  );
  expect(sizes.map((size) => size / 2 ** 20).toSorted((a, b) => b - a)).toEqual(expected);
});

it.each([
  ['a hint', { sizeHint: 20 * 2 ** 30 }],
  ['the size', { size: 20 * 2 ** 30 }],
])('parts are as large as %s asks for where an upload has at most 1,000 of them, as on Scaleway', async (_what, known) => {
  const sizes: number[] = [];
  const server = await serve((request, response) => {
    if (request.method === 'PUT') sizes.push(Number(request.headers['content-length']));
    return taking(request, response);
  });
  const stream = Readable.from(Array.from({ length: 30 }, () => Buffer.alloc(2 ** 20)));
  const backend = backendTo(server, {}, { ...awsProfile, maxParts: 1000 });
  const at = { bucket: 'bucket', key: 'key' };
  await backend.put(at, { kind: 'stream', stream, ...known }, { contentType: 'text/plain' }, noContext).catch(() => {}); // it is shorter
  expect(sizes.map((size) => size / 2 ** 20).toSorted((a, b) => b - a)).toEqual([21, 9]);
});

it.each(transports)('an upload of more parts than Ceph is configured to take is too large, and is aborted (%s)', async (transport) => {
  const server = await serve((request, response) => {
    const { method, url = '' } = request;
    if (method === 'DELETE') return response.writeHead(204).end();
    return method === 'POST' && !url.includes('uploads') ? refusal(416, 'InvalidRange')(request, response) : taking(request, response);
  });
  const body = { kind: 'buffer', data: Buffer.alloc(9 * 2 ** 20) } as const;
  const put = backendTo(server, { transport }).put({ bucket: 'bucket', key: 'key' }, body, { contentType: 'text/plain' }, noContext);
  await expect(put).rejects.toMatchObject({ code: 'payload_too_large', retryable: false });
  await expect(put).rejects.toThrow('2 parts');
  expect(server.requests.at(-1)?.method).toBe('DELETE');
});

it.each([undefined, 7 * 2 ** 20])('a file that is closed before its last part is sent is stored completely (size %s)', async (size) => {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-multipart-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'file'), Buffer.alloc(7 * 2 ** 20));
  const stream = createReadStream(join(folder, 'file'));
  const closed = once(stream, 'close');
  const server = await serve(async (request, response) => {
    if (request.url?.includes('partNumber=2') === true) await closed;
    return taking(request, response);
  });
  const backend = backendTo(server, { partSize: 5 * 2 ** 20, partsAtOnce: 1 });
  const put = backend.put({ bucket: 'bucket', key: 'key' }, bodyOf(stream, size), { contentType: 'text/plain' }, noContext);
  expect(await put).toMatchObject({ size: 7 * 2 ** 20 });
});

describe('the number of parts in flight', () => {
  /** A provider that accepts parts, but acknowledges none until it is told to. */
  async function slowServer(): Promise<{ readonly server: Awaited<ReturnType<typeof serve>>; underWay(): number; acknowledge(): void }> {
    let count = 0;
    const acknowledged = Promise.withResolvers<void>();
    const server = await serve(async (request, response) => {
      if (request.method === 'PUT') {
        count++;
        await acknowledged.promise;
      }
      return taking(request, response);
    });
    return { server, underWay: () => count, acknowledge: () => acknowledged.resolve() };
  }
  const body = { kind: 'buffer', data: Buffer.alloc(60 * 2 ** 20) } as const; // 12 parts of 5 MiB

  it.each([
    ['4', {}, 4],
    ['more where they take long, as many as are allowed', { partsAtOnce: 7 }, 7],
    ['fewer where fewer are allowed', { partsAtOnce: 2 }, 2],
  ])('is %s', async (_what, options, most) => {
    const { server, underWay, acknowledge } = await slowServer();
    const backend = backendTo(server, { ...options, partSize: 5 * 2 ** 20, timeout: 30 });
    const put = backend.put({ bucket: 'bucket', key: 'key' }, body, { contentType: 'text/plain' }, noContext);
    await eventually(underWay).toBe(most);
    await delay(600);
    expect(underWay()).toBe(most);
    acknowledge();
    expect(await put).toMatchObject({ size: body.data.length });
    expect(underWay()).toBe(12);
  });

  it.each([1, 4])('is at most the number of connections (%i), because a part waiting for one would time out', async (most) => {
    const { server, underWay, acknowledge } = await slowServer();
    let read = 0;
    async function* bytes(): AsyncGenerator<Buffer> {
      for (; read < 12; read++) yield Buffer.alloc(5 * 2 ** 20);
    }
    const stream = Readable.from(bytes(), { highWaterMark: 1 });
    const backend = backendTo(server, { partsAtOnce: 8, maxPoolConnections: most, partSize: 5 * 2 ** 20, timeout: 30 });
    const put = backend.put({ bucket: 'bucket', key: 'key' }, bodyOf(stream), { contentType: 'text/plain' }, noContext);
    await eventually(underWay).toBe(most);
    await delay(1200);
    expect(read).toBeLessThan(most + 3); // the last part, and what is read ahead
    acknowledge();
    expect(await put).toMatchObject({ size: 60 * 2 ** 20 });
  });
});
