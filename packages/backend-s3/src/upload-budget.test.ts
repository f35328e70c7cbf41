import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import { noContext, storageError, untilAborted } from '@coffer/storage-core';
import type { CallContext, PutOptions } from '@coffer/storage-core';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { BackgroundCleanup } from './background-cleanup.ts';
import { Endpoint } from './endpoint.ts';
import { openStore } from './open-store.ts';
import { awsProfile } from './profile.ts';
import type { Store } from './store.ts';
import { newStage } from './testing/lean.ts';
import { answering, ok, refusal } from './testing/scripted.ts';
import type { Answer } from './testing/scripted.ts';
import { UploadMemory } from './upload/memory.ts';
import { writeByParts } from './upload/multipart.ts';
import { partSizeFor } from './upload/part-size.ts';
import { putObject } from './upload/put.ts';

const { serve, open, clear } = newStage();
afterEach(clear);

const at = { bucket: 'bucket', key: 'key' };
const mib = 2 ** 20;
const partSize = 5 * mib;
const begun = answering('<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>');
const completed = answering('<CompleteMultipartUploadResult><ETag>"made-2"</ETag></CompleteMultipartUploadResult>');

/** A server for multipart uploads on which one step has another answer. */
const uploads =
  (odd: (method: string, url: string) => Answer | undefined): Answer =>
  (request, response) => {
    const { method = '', url = '' } = request;
    if (method === 'DELETE') return response.writeHead(204).end();
    const usual = method !== 'POST' ? ok : url.includes('uploads') ? begun : completed;
    return (odd(method, url) ?? usual)(request, response);
  };

async function storeOf(odd: (method: string, url: string) => Answer | undefined = () => undefined): Promise<Store> {
  const { endpoint } = await serve(uploads(odd));
  const keys = { accessKey: 'key', secretKey: 'secret' };
  const store = openStore({ endpoint, ...keys, maxRetries: 0, timeout: 20, partSize, uploadMemory: 2 * partSize }, awsProfile);
  open.push(() => store.connection.close());
  return store;
}

/** `size` bytes, then an error if there is one. */
function streamOf(size: number, error?: Error): Readable {
  return Readable.from(
    (function* () {
      for (let left = size; left > 0; left -= mib) yield Buffer.alloc(Math.min(left, mib));
      if (error !== undefined) throw error;
    })(),
    { objectMode: false },
  );
}

describe('the memory of uploads is completely free again', () => {
  const wrong = '0'.repeat(64);
  const part = (number: number) => (_method: string, url: string) =>
    url.includes(`partNumber=${number}&`) ? refusal(403, 'AccessDenied') : undefined;
  interface Upload {
    readonly stream: () => Readable;
    readonly size?: number;
    readonly hint?: number;
    readonly options?: Partial<PutOptions>;
  }
  const cases: [string, Upload, Parameters<typeof storeOf>[0]?][] = [
    ['after one that is well', { stream: () => streamOf(12 * mib) }],
    ['after one of whole parts', { stream: () => streamOf(2 * partSize), size: 2 * partSize }],
    ['after one of a size that is a part', { stream: () => streamOf(partSize), size: partSize }],
    ['after a hint that was too small', { stream: () => streamOf(4 * mib), hint: mib }],
    ['after a stream that fails within a part', { stream: () => streamOf(7 * mib, new Error('broken')) }],
    ['after a stream that fails within the first part', { stream: () => streamOf(mib, new Error('broken')) }],
    ['after a stream that fails and whose size was told', { stream: () => streamOf(mib, new Error('broken')), size: 2 * mib }],
    ['after a stream that is shorter than its size', { stream: () => streamOf(6 * mib), size: 7 * mib }],
    ['after a stream that is longer than its size', { stream: () => streamOf(8 * mib), size: 7 * mib }],
    ['after a small stream that is longer than its size', { stream: () => streamOf(2 * mib), size: mib }],
    ['after another sum', { stream: () => streamOf(7 * mib), options: { sha256: wrong } }],
    ['after another sum of a small one', { stream: () => streamOf(mib), options: { sha256: wrong } }],
    ['after a part that is refused', { stream: () => streamOf(20 * mib) }, part(1)],
    ['after a last part that is refused', { stream: () => streamOf(12 * mib) }, part(3)],
    [
      'after an upload that may not begin',
      { stream: () => streamOf(12 * mib) },
      (method) => (method === 'POST' ? refusal(403, 'AccessDenied') : undefined),
    ],
    [
      'after an upload that may not be completed',
      { stream: () => streamOf(12 * mib) },
      (_method, url) => (url.includes('?uploadId') ? refusal(403, 'AccessDenied') : undefined),
    ],
    [
      'after a small one that is refused',
      { stream: () => streamOf(mib), size: mib },
      (method) => (method === 'PUT' ? refusal(403, 'AccessDenied') : undefined),
    ],
  ];

  it.each(cases)('%s', async (_what: string, { stream, size, hint, options }: Upload, odd?: Parameters<typeof storeOf>[0]) => {
    const store = await storeOf(odd);
    const body = {
      kind: 'stream',
      stream: stream(),
      ...(size !== undefined && { size }),
      ...(hint !== undefined && { sizeHint: hint }),
    } as const;
    await putObject(store, at, body, { contentType: 'text/plain', ...options }, noContext).catch(() => {});
    await expectAllThere(store);
  });

  it('after one that was given up, in line or under way', async () => {
    const store = await storeOf((method) => (method === 'PUT' ? (request) => void request.resume() : undefined));
    const cancel = new AbortController();
    const put = (ctx: CallContext): Promise<unknown> =>
      putObject(store, at, { kind: 'stream', stream: streamOf(12 * mib) }, { contentType: 'text/plain' }, ctx).catch(
        (error: unknown) => error,
      );
    const puts = [put({ signal: cancel.signal }), put({ signal: cancel.signal })];
    await expect.poll(() => store.connection.agent.sockets).not.toEqual({});
    cancel.abort(new Error('gone'));
    for (const outcome of await Promise.all(puts)) expect(outcome).toMatchObject({ message: 'gone' });
    await expectAllThere(store);
  });

  async function expectAllThere(store: Store): Promise<void> {
    const { release } = await store.memory.take(2 * partSize, { signal: AbortSignal.timeout(1000) });
    release(false);
    const [one, other] = [await store.memory.take(partSize, {}), await store.memory.take(partSize, {})];
    expect(one.buffer.buffer).not.toBe(other.buffer.buffer);
    for (const held of [one, other]) held.release(false);
  }
});

describe('the memory of an upload', () => {
  const failing = async (): Promise<{ readonly store: Store; readonly sent: Uint8Array[] }> => {
    const store = await storeOf();
    const sent: Uint8Array[] = [];
    const put: Store['transport']['put'] = async (_at, payload) => {
      if (payload.kind === 'buffer') sent.push(payload.data);
      throw new Error('given up');
    };
    const uploadPart: Store['transport']['uploadPart'] = async (_upload, data) => {
      sent.push(data);
      throw new Error('given up');
    };
    return { store: { ...store, transport: { ...store.transport, put, uploadPart } }, sent };
  };

  it.each<[number, { readonly size?: number; readonly sizeHint?: number }]>([
    [mib, { size: mib }],
    [mib, { sizeHint: mib }],
    [6 * mib, { size: 6 * mib }],
    [6 * mib, { sizeHint: 6 * mib }],
  ])('is not reused after a failed request, which may still be sending it: %i bytes, %j', async (size, told) => {
    const { store, sent } = await failing();
    const body = { kind: 'stream', stream: streamOf(size), ...told } as const;
    await expect(putObject(store, at, body, { contentType: 'text/plain' }, noContext)).rejects.toThrow('given up');
    const memory = sent.map(({ buffer }) => buffer);
    expect(memory).toHaveLength(1);
    for (const taken of [mib, 2 * mib, partSize]) expect(memory).not.toContain((await store.memory.take(taken, {})).buffer.buffer);
  });
});

it('counts a client as slow who goes on up to a part after a hint that was too small, and does not say whether this was all', async () => {
  const memory = new UploadMemory({ capacity: partSize, partSize, patience: 20 });
  const whileFilling = vi.spyOn(memory, 'whileFilling');
  const store = { ...(await storeOf()), memory };
  const stream = new Readable({ read() {} });
  for (let start = 0; start < partSize; start += mib) stream.push(Buffer.alloc(mib));
  const writing = putObject(store, at, { kind: 'stream', stream, sizeHint: mib }, { contentType: 'text/plain' }, noContext);
  await expect.poll(() => whileFilling.mock.lastCall?.[0]).toBe(partSize);
  // Memory that counted as about to be sent would be waited for.
  expect(await memory.takeUnlessStuck(mib, { signal: AbortSignal.timeout(10_000) })).toBeUndefined();
  stream.push(null);
  expect(await writing).toMatchObject({ size: partSize });
});

it('an upload alone makes its tenant count among those that share the connections', async () => {
  const store = await storeOf();
  const put = (tenant: string): Promise<unknown> =>
    putObject(store, at, { kind: 'buffer', data: Buffer.from('x') }, { contentType: 'text/plain' }, { tenant });
  const all = store.downloads.limit;
  await put('acme');
  expect(store.downloads.limit).toBe(all);
  await put('globex');
  expect(store.downloads.limit).toBeLessThan(all);
});

describe('a multipart upload', () => {
  const fake = (maxParts = 10_000): { readonly store: Store; readonly calls: string[] } => {
    const calls: string[] = [];
    const step =
      <T>(name: string, result: T) =>
      async (): Promise<T> => {
        calls.push(name);
        return result;
      };
    const transport = {
      createUpload: step('create', 'id'),
      completeUpload: step('complete', { etag: 'made' }),
      abortUpload: step('abort', undefined),
    };
    const settings = { partsAtOnce: 4, maxPoolConnections: 10 };
    const endpoint = new Endpoint({ ...awsProfile, maxParts }, () => Promise.reject(new Error('known')));
    const memory = { partSize: 1 };
    return { calls, store: { transport, cleanup: new BackgroundCleanup(), memory, settings, endpoint } as unknown as Store };
  };
  const headers = { contentType: 'text/plain' };

  it('is not completed for a caller who left after all parts were sent', async () => {
    const { store, calls } = fake();
    const cancel = new AbortController();
    let left = 1;
    const parts = {
      next: async () => (left-- > 0 ? { send: async () => ({ etag: 'x' }) } : undefined),
      verify: async () => cancel.abort(new Error('gone')),
    };
    await expect(writeByParts(store, at, { headers, parts }, { signal: cancel.signal })).rejects.toThrow('gone');
    expect(calls).toEqual(['create', 'abort']);
  });

  it('that is created after its caller left is aborted', async () => {
    const { store, calls } = fake();
    const cancel = new AbortController();
    const created = Promise.withResolvers<string>();
    const createUpload: Store['transport']['createUpload'] = (_at, _headers, { signal }) => untilAborted(created.promise, signal);
    Object.assign(store.transport, { createUpload });
    const parts = { next: async () => undefined };
    const writing = writeByParts(store, at, { headers, parts }, { signal: cancel.signal });
    cancel.abort(new Error('gone'));
    await expect(writing).rejects.toThrow('gone');
    expect(calls).toEqual([]);
    created.resolve('id');
    await store.cleanup.drain();
    expect(calls).toEqual(['abort']);
  });

  it.each([
    ['has ended before it fails', false, ['create', 'abort', 'aborted']],
    ['goes on without a caller who has left, but not without its backend', true, ['create', 'abort']],
  ])('is aborted, which takes a while and %s', async (_what, isGone, atItsEnd) => {
    const { store, calls } = fake();
    const abortUpload = async (): Promise<void> => {
      calls.push('abort');
      await delay(1500);
      calls.push('aborted');
    };
    Object.assign(store.transport, { abortUpload });
    const cancel = new AbortController();
    const next = async (): Promise<never> => {
      if (isGone) cancel.abort(new Error('broken'));
      throw new Error('broken');
    };
    await expect(writeByParts(store, at, { headers, parts: { next } }, { signal: cancel.signal })).rejects.toThrow('broken');
    expect(calls).toEqual(atItsEnd);
    await store.cleanup.drain();
    expect(calls).toEqual(['create', 'abort', 'aborted']);
  });

  it.each([10_000, 1000])('has as many parts as the server takes, and gives back the one that was too many (%i)', async (maxParts) => {
    const { store, calls } = fake(maxParts);
    let [held, sent] = [0, 0];
    const send = async () => {
      sent++;
      return { etag: 'x' };
    };
    const next = async () => {
      held++;
      return { send, done: () => void held-- };
    };
    const parts = { next };
    await expect(writeByParts(store, at, { headers, parts }, noContext)).rejects.toMatchObject({ code: 'payload_too_large' });
    expect([held, sent, calls]).toEqual([0, maxParts, ['create', 'abort']]);
  });

  it('goes on after a thousand parts, if it cannot be found out how many the server takes', async () => {
    const { store, calls } = fake();
    const endpoint = new Endpoint(undefined, () => Promise.reject(storageError('storage_unavailable', 'down')));
    let left = 1001;
    const send = async () => ({ etag: '00' });
    const next = async () => (left-- > 0 ? { send } : undefined);
    const written = writeByParts({ ...store, endpoint }, at, { headers, parts: { next } }, noContext);
    await expect(written).resolves.toMatchObject({ etag: 'made' });
    expect(calls).toEqual(['create', 'complete']);
  });

  it('has as many parts as on AWS, if the credentials may not find out how many the server takes', async () => {
    const endpoint = new Endpoint(undefined, () => Promise.reject(storageError('access_denied', 'not yours')));
    const store = { ...fake().store, endpoint };
    const partOf = (size: number) => partSizeFor(store, 'bucket', { size, usual: 8 * mib }, noContext);
    expect(await partOf(100_000 * mib)).toBe(10 * mib);
    expect(await partOf(10_000 * mib)).toBe(8 * mib); // fewer parts, but none below the usual size: S3 refuses small ones
  });

  it('is aborted only when no part is in flight any more, and does not reuse the memory of unsent parts', async () => {
    const { store, calls } = fake();
    const [slow, asked] = [Promise.withResolvers<never>(), Promise.withResolvers<void>()];
    const sends = [async () => ({ etag: 'x' }), () => slow.promise];
    const isReusable: boolean[] = [];
    const next = async () => {
      const send = sends.shift();
      if (send !== undefined) return { send, done: (isSent: boolean) => void isReusable.push(isSent) };
      asked.resolve();
      throw new Error('broken');
    };
    const writing = writeByParts(store, at, { headers, parts: { next } }, noContext);
    const outcome = writing.catch((error: unknown) => error);
    await asked.promise;
    await new Promise((resolve) => setImmediate(resolve));
    expect([calls, isReusable]).toEqual([['create'], [true]]);
    slow.reject(new Error('stopped'));
    expect(await outcome).toMatchObject({ message: 'broken' });
    expect([calls, isReusable]).toEqual([
      ['create', 'abort'],
      [true, false],
    ]);
  });

  it('sends four parts at a time', async () => {
    const { store, calls } = fake();
    const sends: (() => void)[] = [];
    const send = () => new Promise<{ readonly etag: string }>((resolve) => sends.push(() => resolve({ etag: 'x' })));
    let left = 9;
    const parts = { next: async () => (left-- > 0 ? { send } : undefined) };
    const writing = writeByParts(store, at, { headers, parts }, noContext);
    for (let ended = 0; ended < 9; ended++) {
      await new Promise((resolve) => setImmediate(resolve));
      expect(sends).toHaveLength(Math.min(ended + 4, 9));
      sends[ended]!();
    }
    await writing;
    expect(calls).toEqual(['create', 'complete']);
  });
});
