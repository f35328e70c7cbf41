import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdtemp, open as openFile, rm, writeFile } from 'node:fs/promises';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { bodyOf, readAll } from '../body/body.ts';
import type { BodyInput } from '../body/body.ts';
import { fileBody, readInto } from '../body/file-body.ts';
import { noContext } from '../context.ts';
import type { CallContext } from '../context.ts';
import { storageError } from '../errors.ts';
import { memoryBackend } from '../memory-backend.ts';
import type { ObjectStream } from '../object.ts';
import type { OperationEvent, TransferEvent } from '../observer.ts';
import { observe } from './observe.ts';
import { wrapBackend } from './wrap-backend.ts';

const size = 300_000;
const data = Buffer.alloc(size, 'x');
const at = { bucket: 'suite', key: 'observed' };
const options = { contentType: 'text/plain' };

const events: OperationEvent[] = [];
const transfers: TransferEvent[] = [];
const inner = memoryBackend({ buckets: ['suite'] });
const backend = wrapBackend(
  inner,
  observe({ operation: (event) => void events.push(event), transfer: (event) => void transfers.push(event) }),
);

function passed(direction: TransferEvent['direction']): number {
  return transfers.filter((event) => event.direction === direction).reduce((sum, event) => sum + event.bytes, 0);
}

async function open(ctx: CallContext = noContext): Promise<Readable> {
  return ((await backend.get(at, {}, ctx)) as ObjectStream).body;
}

async function eventAfterClose(body: Readable): Promise<OperationEvent | undefined> {
  if (!body.closed) await once(body, 'close').catch(() => {});
  await new Promise((resolve) => setImmediate(resolve));
  return events.at(-1);
}

function* pieces(): Generator<Buffer> {
  for (let start = 0; start < size; start += 70_001) yield data.subarray(start, start + 70_001);
}

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coffer-observe-'));
  await writeFile(join(folder, 'file'), data);
});
afterAll(() => rm(folder, { recursive: true }));
beforeEach(async () => {
  await inner.put(at, { kind: 'buffer', data }, options, noContext);
  events.length = 0;
  transfers.length = 0;
});

describe('an observed upload', () => {
  const sources: readonly [string, () => BodyInput][] = [
    ['a buffer', () => data],
    ['Readable.from', () => Readable.from(pieces(), { objectMode: false })],
    ['Readable.from in object mode', () => Readable.from(pieces())],
    ['a file', () => createReadStream(join(folder, 'file'))],
    ['a web stream', () => new Blob([data]).stream()],
    ['a Blob', () => new Blob([data])],
    ['an iterable of text', () => Readable.from(pieces()).map(String)[Symbol.asyncIterator]()],
    ['a Transform', () => Readable.from(pieces()).pipe(new Transform({ transform: (chunk, _encoding, done) => done(null, chunk) }))],
    ['a PassThrough', () => Readable.from(pieces()).pipe(new PassThrough())],
  ];

  it.each(sources)('counts the bytes of %s', async (_name, source) => {
    await backend.put(at, bodyOf(source()), options, { tenant: 'acme', requestId: 'r1' });
    expect(passed('upload')).toBe(size);
    expect(events).toEqual([
      {
        operation: 'upload',
        kind: 'object',
        backend: 'memory',
        bucket: 'suite',
        tenant: 'acme',
        requestId: 'r1',
        outcome: 'success',
        ms: expect.any(Number) as number,
        bytes: size,
      },
    ]);
    expect(transfers[0]).toMatchObject({ direction: 'upload', backend: 'memory', tenant: 'acme' });
    expect((await readAll(((await inner.get(at, {}, noContext)) as ObjectStream).body)).equals(data)).toBe(true);
  });

  it('counts what is read without chunks', async () => {
    const file = await openFile(join(folder, 'file'));
    const body = fileBody(file);
    const direct = wrapBackend(
      {
        ...inner,
        put: async () => {
          const buffer = Buffer.alloc(70_001);
          await body[readInto](buffer.subarray(0, 0));
          body.on('data', () => {}); // gets the same bytes, which count once
          while ((await body[readInto](buffer)) > 0);
          return inner.head(at, noContext);
        },
      },
      observe({ transfer: (event) => void transfers.push(event) }),
    );
    await direct.put(at, { kind: 'stream', stream: body }, options, noContext);
    expect(passed('upload')).toBe(size);
    await file.close();
  });

  it('counts what a compressing stream makes of its input', async () => {
    const zipped = Readable.from(pieces()).pipe(createGzip());
    const info = await backend.put(at, bodyOf(zipped), options, noContext);
    expect(passed('upload')).toBe(info.size);
  });

  it('counts what was in the stream before, and never twice', async () => {
    const stream = new PassThrough();
    stream.write(data.subarray(0, 5000));
    stream.end(data.subarray(5000, 9000));
    await once(stream, 'readable');
    stream.unshift(stream.read(10) as Buffer);
    await backend.put(at, bodyOf(stream), options, noContext);
    expect(passed('upload')).toBe(9000);
  });

  it('counts a request as it comes in, and names an upload whose client left', async () => {
    const ended: Promise<unknown>[] = [];
    const server = createServer((request, response) => {
      const stored = backend.put(at, bodyOf(request), options, noContext);
      ended.push(stored.catch((error: unknown) => error));
      stored.then(
        () => response.end(),
        () => {},
      );
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await (await fetch(`http://127.0.0.1:${port}/`, { method: 'PUT', body: data })).arrayBuffer();
    expect([passed('upload'), events.at(-1)?.bytes]).toEqual([size, size]);

    const leaving = httpRequest({ port, method: 'PUT', headers: { 'content-length': size } });
    leaving.on('error', () => {});
    leaving.write(data.subarray(0, 1000));
    while (passed('upload') < size + 1000) await new Promise((resolve) => setTimeout(resolve, 5));
    leaving.destroy();
    while (ended.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await ended[1]).toMatchObject({ code: 'ECONNRESET' });
    expect(events.at(-1)).toMatchObject({ outcome: 'error', code: 'aborted', bytes: 1000 });
    server.closeAllConnections();
    server.close();
  });

  it('names what went wrong', async () => {
    const cancel = new AbortController();
    const hanging = new Readable({ read() {} });
    const upload = backend.put(at, bodyOf(hanging), options, { signal: cancel.signal });
    cancel.abort();
    await expect(upload).rejects.toBe(cancel.signal.reason);
    expect(events.at(-1)).toMatchObject({ outcome: 'error', code: 'aborted' });

    const failing = new Readable({ read() {} });
    const failed = backend.put(at, bodyOf(failing), options, noContext);
    failing.destroy(new Error('source'));
    await expect(failed).rejects.toThrow('source');
    expect(events.at(-1)).toMatchObject({ outcome: 'error', code: 'aborted' });

    await expect(backend.put(at, bodyOf(data), { ...options, ifNoneMatch: '*' }, noContext)).rejects.toMatchObject({
      code: 'precondition_failed',
    });
    expect(events.at(-1)).toMatchObject({ outcome: 'error', code: 'precondition_failed', bytes: 0 });

    const broken = wrapBackend(
      { ...wrapBackend(inner), put: () => Promise.reject(new TypeError('a bug')) },
      observe({ operation: (event) => void events.push(event) }),
    );
    await expect(broken.put(at, bodyOf(data), options, noContext)).rejects.toThrow('a bug');
    expect(events.at(-1)).toMatchObject({ outcome: 'error', code: 'internal_error' });

    await expect(backend.head(at, { signal: AbortSignal.abort(new Error('mine')) })).rejects.toThrow('mine');
    expect(events.at(-1)).toMatchObject({ outcome: 'error', code: 'aborted' });
  });

  it('counts nothing that its source yields once it has failed', async () => {
    const stream = new Readable({ read() {} });
    const missing = { ...at, bucket: 'missing' };
    await expect(backend.put(missing, { kind: 'stream', stream }, options, noContext)).rejects.toMatchObject({ code: 'no_such_bucket' });
    stream.push(data);
    expect([events.length, transfers.length]).toEqual([1, 0]);
  });
});

describe('an observed download', () => {
  it.each<[string, (body: Readable) => Promise<unknown>]>([
    ['for await', (body) => readAll(body)],
    ['pipeline', (body) => pipeline(body, new Writable({ write: (_chunk, _encoding, done) => done() }))],
    ['data events', (body) => once(body.resume(), 'end')],
    ['a web stream', (body) => new Response(Readable.toWeb(body) as ReadableStream).arrayBuffer()],
    ['pipe', (body) => once(body.pipe(new PassThrough()).resume(), 'end')],
  ])('counts the bytes read by %s, and is over when they are', async (_name, read) => {
    const body = await open({ tenant: 'acme' });
    expect(events).toEqual([]);
    await read(body);
    expect(await eventAfterClose(body)).toMatchObject({ operation: 'download', outcome: 'success', bytes: size, tenant: 'acme' });
    expect(passed('download')).toBe(size);
    expect(events.length).toBe(1);
    expect(events[0]).not.toHaveProperty('code');
  });

  it('counts just the range', async () => {
    const { body } = (await backend.get(at, { range: { start: 10, end: 19 } }, noContext)) as ObjectStream;
    await readAll(body);
    expect(await eventAfterClose(body)).toMatchObject({ outcome: 'success', bytes: 10 });
  });

  it('is over at once when there is nothing to send', async () => {
    const { etag } = await inner.head(at, noContext);
    await backend.get(at, { ifNoneMatch: [etag] }, noContext);
    expect(events).toMatchObject([{ operation: 'download', outcome: 'success', bytes: 0 }]);
  });

  it.each<[string, (body: Readable, cancel: AbortController) => unknown]>([
    ['destroys it', (body) => body.destroy()],
    [
      'breaks off',
      async (body) => {
        for await (const _chunk of body) break;
      },
    ],
    ['aborts the signal', (_body, cancel) => cancel.abort(new Error('mine'))],
    [
      'writes to a client that leaves',
      (body) => {
        const client = new PassThrough();
        setImmediate(() => client.destroy());
        return pipeline(body, client).catch(() => {});
      },
    ],
    [
      'writes to a disk that is full',
      (body) => {
        const disk = new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error('full'), { code: 'ENOSPC' })) });
        return pipeline(body, disk).catch(() => {});
      },
    ],
  ])('is not held against the provider when the reader %s', async (_name, leave) => {
    const cancel = new AbortController();
    const body = await open({ signal: cancel.signal });
    await leave(body, cancel);
    expect(await eventAfterClose(body)).toMatchObject({ outcome: 'success', code: 'aborted' });
    expect(events.length).toBe(1);
  });

  it('that fails on its way is an error', async () => {
    const error = storageError('read_timeout', 'too slow');
    const failing = wrapBackend(
      {
        ...wrapBackend(inner),
        get: async () => {
          const body = new Readable({ read() {} });
          body.push('first');
          setImmediate(() => body.destroy(error));
          return { kind: 'object', info: await inner.head(at, noContext), body };
        },
      },
      observe({ operation: (event) => void events.push(event) }),
    );
    const { body } = (await failing.get(at, {}, noContext)) as ObjectStream;
    await expect(readAll(body)).rejects.toBe(error);
    expect(await eventAfterClose(body)).toMatchObject({ outcome: 'error', code: 'read_timeout', bytes: 5 });
  });

  it('is over at once when its body already is', async () => {
    const [ended, failed] = [Readable.from([]), new Readable({ read() {} })];
    await readAll(ended);
    failed.on('error', () => {}).destroy(storageError('read_timeout', 'too slow'));
    await new Promise((resolve) => setImmediate(resolve));
    for (const [body, outcome] of [
      [ended, { outcome: 'success' }],
      [failed, { outcome: 'error', code: 'read_timeout' }],
    ] as const) {
      const get = async (): Promise<ObjectStream> => ({ kind: 'object', info: await inner.head(at, noContext), body });
      await wrapBackend({ ...wrapBackend(inner), get }, observe({ operation: (event) => void events.push(event) })).get(at, {}, noContext);
      expect(events.at(-1)).toMatchObject(outcome);
    }
    expect(events[0]).not.toHaveProperty('code');
  });

  it('of what is not there is an error', async () => {
    await expect(backend.get({ ...at, key: 'none' }, {}, noContext)).rejects.toMatchObject({ code: 'file_not_found' });
    expect(events).toMatchObject([{ operation: 'download', outcome: 'error', code: 'file_not_found', bytes: 0 }]);
  });
});

it('tells every operation by its name and kind', async () => {
  const { buckets, acl, batchDelete } = backend;
  await backend.head(at, noContext);
  await backend.copy(at, { ...at, key: 'copy' }, {}, noContext);
  await backend.list('suite', {}, noContext);
  await backend.delete(at, noContext);
  await batchDelete?.deleteMany('suite', ['copy'], noContext);
  await buckets?.create('other', {}, noContext);
  await buckets?.head('other', noContext);
  await buckets?.list(noContext);
  await acl?.setBucketAcl('other', 'private', noContext);
  await acl?.getBucketAcl('other', noContext);
  await buckets?.delete('other', {}, noContext);
  await expect(acl?.getObjectAcl(at, noContext)).rejects.toThrow();
  await expect(acl?.setObjectAcl(at, 'private', noContext)).rejects.toThrow();
  await backend.check(noContext);
  expect(events.map(({ operation, kind, outcome }) => `${kind} ${operation} ${outcome}`)).toEqual([
    'object head success',
    'object copy success',
    'object list success',
    'object delete success',
    'object delete success',
    'bucket create_bucket success',
    'bucket bucket_info success',
    'bucket list_buckets success',
    'acl set_bucket_acl success',
    'acl get_bucket_acl success',
    'bucket delete_bucket success',
    'acl get_object_acl error',
    'acl set_object_acl error',
  ]);
});

describe('an observed pull', () => {
  it('counts what the sink gets, and is a download', async () => {
    await backend.pull?.(at, { range: { start: 5 } }, () => {}, { tenant: 'acme' });
    expect(passed('download')).toBe(size - 5);
    expect(events).toMatchObject([{ operation: 'download', kind: 'object', tenant: 'acme', outcome: 'success', bytes: size - 5 }]);
  });

  it('is aborted when the sink wants no more', async () => {
    const pulling = backend.pull?.(at, {}, () => Promise.reject(new Error('the disk is full')), noContext);
    await expect(pulling).rejects.toThrow('the disk is full');
    expect(events).toMatchObject([{ operation: 'download', outcome: 'error', code: 'aborted' }]);
  });
});

describe('an observer that throws', () => {
  const failure = new Error('thrown by the observer');
  const uncaught: unknown[] = [];
  const throwing = (): never => {
    throw failure;
  };
  const observed = wrapBackend(inner, observe({ operation: throwing, transfer: throwing }));

  beforeEach(() => {
    uncaught.length = 0;
    process.setUncaughtExceptionCaptureCallback((error) => uncaught.push(error));
  });
  afterEach(() => process.setUncaughtExceptionCaptureCallback(null));

  it('changes the outcome of no call, and its errors are uncaught exceptions', async () => {
    const put = async (source: BodyInput): Promise<unknown> => observed.put(at, bodyOf(source), options, noContext);
    expect(await put(data)).toMatchObject({ size });
    expect(await put(Readable.from(pieces(), { objectMode: false }))).toMatchObject({ size });
    const own = new Error('source');
    const failing = async function* (): AsyncGenerator<Buffer> {
      yield* pieces();
      throw own;
    };
    await expect(put(failing())).rejects.toBe(own);
    await expect(observed.head({ ...at, key: 'missing' }, noContext)).rejects.toMatchObject({ code: 'file_not_found' });
    const { body } = (await observed.get(at, {}, noContext)) as ObjectStream;
    expect((await readAll(body)).equals(data)).toBe(true);
    await observed.pull!(at, {}, async () => {}, noContext);
    expect(uncaught.length).toBeGreaterThan(6);
    expect(new Set(uncaught)).toEqual(new Set([failure]));
  });
});
