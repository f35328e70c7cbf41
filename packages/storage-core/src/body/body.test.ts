import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable, Stream, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';

import { Minipass } from 'minipass';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';

import type { Body } from '../object.ts';
import { bodyOf, destroyOnAbort, discard, readAll } from './body.ts';
import type { BodyInput } from './body.ts';
import { hasOwnedChunks, releaseChunk } from './chunk-memory.ts';
import { claimBody } from './claim.ts';

const text = 'grüße';
const bytes = new TextEncoder().encode(text);

async function* chunks(): AsyncGenerator<Uint8Array> {
  yield bytes.subarray(0, 3);
  yield new Uint8Array(0);
  yield bytes.subarray(3);
}

function contentOf(body: Body): Promise<Buffer> | Buffer {
  return body.kind === 'buffer' ? Buffer.from(body.data) : readAll(body.stream);
}

function streamOf(body: Body): Readable {
  if (body.kind !== 'stream') throw new Error('expected a stream');
  return body.stream;
}

/** A stream of another copy of node:stream, such as JSZip brings: event-based, and not iterable. */
function otherStream(begin: (stream: Stream) => void): NodeJS.ReadableStream & { destroyed: boolean } {
  const methods = { readable: true, destroyed: false, pause() {}, resume() {}, read: () => null, setEncoding() {} };
  const stream = Object.assign(new Stream(), methods, {
    destroy() {
      stream.destroyed = true;
      stream.emit('close');
    },
  });
  setImmediate(begin, stream);
  return stream as unknown as NodeJS.ReadableStream & { destroyed: boolean };
}

/** A stream that resembles minipass in the ways that matter here. */
function ownStream({ next }: Pick<AsyncIterator<unknown>, 'next'>): AsyncIterable<Uint8Array> & EventEmitter & { destroyed: boolean } {
  const stream = Object.assign(new EventEmitter(), {
    destroyed: false,
    pipe() {},
    destroy: () => void (stream.destroyed = true),
    [Symbol.asyncIterator]: () => ({ next }),
  });
  return stream as never;
}

function blobOf(stream: () => unknown): Blob {
  return { [Symbol.toStringTag]: 'File', size: bytes.length, stream } as unknown as Blob;
}

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coffer-body-'));
  await writeFile(join(folder, 'file'), text);
});
afterAll(() => rm(folder, { recursive: true }));

describe('bodyOf', () => {
  const inputs: readonly [string, () => BodyInput][] = [
    ['a string', () => text],
    ['a Uint8Array', () => bytes],
    ['a view into a larger buffer', () => Buffer.concat([Buffer.from('__'), bytes, Buffer.from('__')]).subarray(2, 2 + bytes.length)],
    ['an ArrayBuffer', () => bytes.slice().buffer],
    ['a Uint8Array of another realm', () => runInNewContext('new Uint8Array(list)', { list: [...bytes] }) as Uint8Array],
    ['an ArrayBuffer of another realm', () => runInNewContext('new Uint8Array(list).buffer', { list: [...bytes] }) as ArrayBuffer],
    [
      'an async generator of another realm',
      () => runInNewContext('(async function* () { yield new Uint8Array(list); })()', { list: [...bytes] }) as AsyncIterable<Uint8Array>,
    ],
    ['a Blob', () => new Blob([bytes])],
    ['a Blob of a package, which is none of Node', () => blobOf(() => new Blob([bytes]).stream())],
    ['a Blob of a package, which gives a stream of its own kind', () => blobOf(chunks)],
    ['a Node stream', () => Readable.from([Buffer.from(bytes)], { objectMode: false })],
    ['a Node stream in object mode', () => Readable.from(chunks())],
    ['a Node stream of strings', () => createReadStream(join(folder, 'file'), 'utf8')],
    [
      'a stream of a copy of node:stream',
      () =>
        otherStream(
          (stream) => void (stream.emit('data', bytes.subarray(0, 3)), stream.emit('data', bytes.subarray(3)), stream.emit('end')),
        ),
    ],
    ['an iterable that is a stream of its own kind', () => ({ pipe() {}, on() {}, readable: false, [Symbol.asyncIterator]: chunks })],
    ['a file stream', () => createReadStream(join(folder, 'file'))],
    ['a web stream', () => new Blob([bytes]).stream()],
    ['an async generator', () => chunks()],
    ['an async iterable that is no generator', () => ({ [Symbol.asyncIterator]: () => chunks() })],
  ];

  it.each(inputs)('takes %s', async (_name, input) => {
    const body = bodyOf(input());
    expect((await contentOf(body)).toString()).toBe(text);
  });

  it('takes every kind where the globals are those of a browser, as with jsdom, which has no streams', async () => {
    onTestFinished(() => void vi.unstubAllGlobals());
    vi.stubGlobal('ReadableStream', undefined);
    vi.stubGlobal('Uint8Array', runInNewContext('Uint8Array'));
    for (const [, input] of inputs) expect(String(await contentOf(bodyOf(input())))).toBe(text);
  });

  it('knows the size where the input has one, or where it is told', () => {
    expect(bodyOf(new Blob([bytes]))).toMatchObject({ kind: 'stream', size: bytes.length });
    expect(bodyOf(chunks(), 7)).toMatchObject({ kind: 'stream', size: 7 });
    expect(bodyOf(chunks())).not.toHaveProperty('size');
    // Like Bun's Blobs of pipes and remote objects.
    for (const value of [Infinity, Number.NaN])
      expect(bodyOf(Object.defineProperty(new Blob([bytes]), 'size', { value }))).not.toHaveProperty('size');
  });

  it('yields nothing but Buffers', async () => {
    for (const input of [chunks(), Readable.from(chunks()), new Blob([bytes]).stream()]) {
      for await (const chunk of streamOf(bodyOf(input))) expect(Buffer.isBuffer(chunk)).toBe(true);
    }
  });

  it.each([
    ['bytes of another size', () => bodyOf('abc', 4)],
    ['a number', () => bodyOf(5 as unknown as string)],
    ['null', () => bodyOf(null as unknown as string)],
    ['a plain object', () => bodyOf({} as unknown as string)],
    ['an array', () => bodyOf([1] as unknown as string)],
  ])('refuses %s', (_name, make) => {
    expect(make).toThrowError(expect.objectContaining({ code: 'invalid_argument' }));
  });

  it.each([-1, 0.5, Number.NaN, Infinity])('refuses the size %s, and destroys the stream', (size) => {
    const stream = Readable.from([Buffer.from('x')], { objectMode: false });
    expect(() => bodyOf(stream, size)).toThrowError(expect.objectContaining({ code: 'invalid_argument' }));
    expect(stream.destroyed).toBe(true);
  });

  it('refuses streams that somebody else has read or reads, which would be stored empty', async () => {
    const read = Readable.from([Buffer.from('x')], { objectMode: false });
    await readAll(read);
    expect(() => bodyOf(read)).toThrowError(expect.objectContaining({ code: 'invalid_argument' }));
    const closed = Readable.from([Buffer.from('x')], { objectMode: false }).destroy();
    expect(() => bodyOf(closed)).toThrowError(expect.objectContaining({ code: 'invalid_argument' }));
    const failed = new Readable({ read() {} }).on('error', () => {}).destroy(new Error('mine'));
    const other = Object.assign(
      otherStream(() => {}),
      { readable: false },
    );
    expect(() => bodyOf(other)).toThrowError(expect.objectContaining({ code: 'invalid_argument' }));
    const locked = new Blob([bytes]).stream();
    locked.getReader();
    expect(() => bodyOf(locked)).toThrowError(expect.objectContaining({ code: 'invalid_argument' }));
    const iterated = new Blob([bytes]).stream();
    for await (const chunk of iterated) expect(chunk).toHaveLength(bytes.length);
    const cancelled = new Blob([bytes]).stream();
    await cancelled.cancel();
    for (const over of [iterated, cancelled])
      expect(() => bodyOf(over)).toThrowError(expect.objectContaining({ code: 'invalid_argument' }));
    await expect(contentOf(bodyOf(failed))).rejects.toThrow('mine');
  });

  it('refuses a generator that was a body before, unless some of it is left', async () => {
    const three = async function* (): AsyncGenerator<Uint8Array> {
      for (const byte of [1, 2, 3]) yield Uint8Array.of(byte);
    };
    const [read, closed] = [three(), three()];
    expect(await contentOf(bodyOf(read))).toHaveLength(3);
    streamOf(bodyOf(closed)).destroy(); // like an upload that failed before it began
    for (const over of [read, closed]) await expect(contentOf(bodyOf(over))).rejects.toMatchObject({ code: 'invalid_argument' });
    const [begun, rest] = [three(), three()];
    await begun.next();
    expect(await contentOf(bodyOf(begun))).toHaveLength(2);
    const unclosed = { next: () => rest.next(), [Symbol.asyncIterator]: () => unclosed };
    streamOf(bodyOf(unclosed)).destroy();
    expect(await contentOf(bodyOf(unclosed))).toHaveLength(3);
    expect(await contentOf(bodyOf((async function* () {})()))).toHaveLength(0);
  });

  it('takes what is left of a web stream, and one that is empty or has failed', async () => {
    const begun = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const chunk of [bytes.subarray(0, 1), bytes.subarray(1)]) controller.enqueue(chunk);
        controller.close();
      },
    });
    const reader = begun.getReader();
    await reader.read();
    reader.releaseLock();
    expect(await contentOf(bodyOf(begun))).toEqual(Buffer.from(bytes.subarray(1)));
    expect(await contentOf(bodyOf(new ReadableStream({ start: (controller) => controller.close() })))).toHaveLength(0);
    const failure = new Error('source');
    const failed = new ReadableStream({ start: (controller) => controller.error(failure) });
    await expect(contentOf(bodyOf(failed))).rejects.toBe(failure);
    let fail = (): void => {};
    const failing = (): ReadableStream<Uint8Array> =>
      new ReadableStream({
        start(controller) {
          controller.enqueue(bytes);
          fail = () => controller.error(failure);
        },
      });
    const partlyRead = failing();
    const partReader = partlyRead.getReader();
    await partReader.read();
    partReader.releaseLock();
    fail();
    await expect(contentOf(bodyOf(partlyRead))).rejects.toBe(failure);
    const unread = streamOf(bodyOf(failing()));
    fail();
    await expect.poll(() => unread.errored).toBe(failure);
  });

  it('refuses bytes that have been transferred elsewhere, and a Blob that cannot be read', () => {
    const view = new Uint8Array(3);
    structuredClone(view.buffer, { transfer: [view.buffer] });
    const unreadable = Object.assign(new Blob([bytes]), { stream: undefined }); // like jsdom's Blobs
    for (const input of [view, view.buffer, unreadable])
      expect(() => bodyOf(input as BodyInput)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });

  it.each([
    ['bytes', (memory: ArrayBuffer, length: number): unknown => new Uint8Array(memory, 4, length)],
    ['a DataView', (memory: ArrayBuffer, length: number): unknown => new DataView(memory, 4, length)],
  ])('refuses %s whose memory has been shrunk to less: they look empty', (_what, viewOf) => {
    const memory = new ArrayBuffer(10, { maxByteLength: 10 });
    const [gone, empty] = [viewOf(memory, 6), viewOf(memory, 0)] as [BodyInput, BodyInput];
    memory.resize(5);
    expect(() => bodyOf(gone)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
    expect(bodyOf(empty)).toMatchObject({ kind: 'buffer', data: { byteLength: 0 } });
  });

  it('fails when an iterable yields something else than bytes', async () => {
    const odd = async function* (): AsyncGenerator<Uint8Array> {
      yield null as unknown as Uint8Array;
    };
    await expect(readAll(streamOf(bodyOf(odd())))).rejects.toMatchObject({ code: 'invalid_argument' });
    const other = otherStream((stream) => void stream.emit('data', { a: 1 }));
    for (const input of [Readable.from([{ a: 1 }]), other])
      await expect(readAll(streamOf(bodyOf(input)))).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it.each([null, undefined, 7, [1]])('fails when a web stream yields %j, which would end it, or be left out', async (value) => {
    const input = ReadableStream.from([bytes, value, bytes] as Uint8Array[]);
    await expect(contentOf(bodyOf(input))).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('fails when an iterable gives a result that cannot be read, and the process goes on', async () => {
    const failure = new Error('no result');
    const unreadable = Object.defineProperty({}, 'done', {
      get() {
        throw failure;
      },
    });
    const yielding = (result: unknown): BodyInput => ({ [Symbol.asyncIterator]: () => ({ next: async () => result as never }) });
    await expect(contentOf(bodyOf(yielding(unreadable)))).rejects.toBe(failure);
    await expect(contentOf(bodyOf(yielding(undefined)))).rejects.toThrow(TypeError);
  });

  it('fails when an iterable or a web stream yields bytes that have been transferred elsewhere', async () => {
    const chunk = new Uint8Array(3);
    structuredClone(chunk.buffer, { transfer: [chunk.buffer] });
    const yielding: BodyInput = { [Symbol.asyncIterator]: () => ({ next: async () => ({ value: chunk }) }) };
    const enqueued = new Uint8Array(3);
    const web = new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(enqueued) });
    structuredClone(enqueued.buffer, { transfer: [enqueued.buffer] });
    for (const input of [yielding, web]) await expect(contentOf(bodyOf(input))).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('fails when an iterable yields bytes whose memory has been shrunk to less', async () => {
    const shrunk = async function* (): AsyncGenerator<Uint8Array> {
      const memory = new ArrayBuffer(10, { maxByteLength: 10 });
      const chunk = new Uint8Array(memory, 0, 10);
      memory.resize(5);
      yield chunk;
    };
    await expect(contentOf(bodyOf(shrunk()))).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('takes an iterable whose next() gives its result at once, as for await does', async () => {
    let asked = 0;
    const next = (): unknown => (asked++ === 0 ? { value: bytes } : { done: true });
    const input = { [Symbol.asyncIterator]: () => ({ next }) } as unknown as BodyInput;
    expect(await contentOf(bodyOf(input))).toEqual(Buffer.from(bytes));
  });

  it('refuses a minipass-like stream that already flows to somebody else: that data would be missing', () => {
    const flowing = { pipe() {}, on() {}, flowing: true, [Symbol.asyncIterator]: chunks };
    expect(() => bodyOf(flowing)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });

  it('gives the reader the error of a minipass-like stream that fails before anybody reads it, and the process goes on', async () => {
    const source = ownStream({ next: () => new Promise(() => {}) });
    const body = streamOf(bodyOf(source));
    const failure = new Error('source');
    source.emit('error', failure);
    source.emit('error', new Error('later'));
    await expect(readAll(body)).rejects.toBe(failure);
  });

  it.each([false, true])('has everything that a minipass stream gives, asynchronous: %s', async (isAsync) => {
    const parts = ['a', 'b', 'c'].map((letter) => Buffer.from(letter.repeat(100_000)));
    const feed = (source: Minipass<Buffer>): void => {
      for (const part of parts) source.write(part);
      source.end('é');
    };
    const expected = Buffer.concat([...parts, Buffer.from('é')]);
    for (const isFed of [true, false]) {
      const source = new Minipass<Buffer>({ async: isAsync });
      if (isFed) feed(source);
      const reading = readAll(streamOf(bodyOf(source)));
      await delay(5);
      if (!isFed) feed(source);
      expect((await reading).equals(expected)).toBe(true);
      await expect(readAll(streamOf(bodyOf(source)))).rejects.toMatchObject({ code: 'invalid_argument' });
    }
    expect(await readAll(streamOf(bodyOf(new Minipass<Buffer>({ async: isAsync }).end())))).toHaveLength(0);
  });

  it.each([false, true])('fails when a minipass stream does, asynchronous: %s, and applies backpressure to it', async (isAsync) => {
    const failure = new Error('source');
    const [failing, destroyed, unwanted, odd] = Array.from({ length: 4 }, () => new Minipass<Buffer>({ async: isAsync }));
    const bodies = [failing!, destroyed!, unwanted!].map((source) => streamOf(bodyOf(source)));
    const readings = bodies.map((body) => readAll(body));
    failing!.emit('error', failure);
    destroyed!.destroy();
    bodies[2]!.destroy(failure);
    await expect(readings[0]).rejects.toBe(failure);
    await expect(readings[1]).rejects.toThrow('destroyed');
    await expect(readings[2]).rejects.toBe(failure);
    await expect.poll(() => [failing!.destroyed, unwanted!.destroyed]).toEqual([true, true]);
    const objects = new Minipass<number>({ async: isAsync, objectMode: true });
    objects.end(1);
    await expect(readAll(streamOf(bodyOf(objects as never)))).rejects.toMatchObject({ code: 'invalid_argument' });
    const slow = streamOf(bodyOf(odd!));
    slow.read();
    let written = 0;
    while (odd!.write(Buffer.alloc(50_000)) && written < 100) {
      written += 1;
      await delay(1);
    }
    expect(written).toBeLessThan(10);
    slow.destroy();
  });

  it.each([false, true])('has what a minipass stream gives to others before it is read, asynchronous: %s', async (isAsync) => {
    const source = new Minipass<Buffer>({ async: isAsync });
    source.write(Buffer.from(bytes));
    const body = streamOf(bodyOf(source));
    let seen = 0;
    source.on('data', (chunk) => (seen += chunk.length));
    source.end(Buffer.from(bytes));
    await delay(5);
    expect(await readAll(body)).toEqual(Buffer.concat([bytes, bytes]));
    expect(seen).toBeGreaterThan(0);
  });

  it.each([false, true])('fails when a minipass stream is destroyed before it is read, asynchronous: %s', async (isAsync) => {
    const source = new Minipass<Buffer>({ async: isAsync });
    const body = streamOf(bodyOf(source));
    source.destroy();
    await expect(readAll(body)).rejects.toThrow('destroyed');
  });

  it('ends when a minipass-like stream says so, whatever value comes with that', async () => {
    const results = [{ value: bytes }, { done: true, value: null }];
    const source = ownStream({ next: async () => results.shift() as IteratorYieldResult<unknown> });
    expect(await readAll(streamOf(bodyOf(source)))).toEqual(Buffer.from(bytes));
    expect(source.destroyed).toBe(false);
  });

  it('takes a minipass-like stream only once, and destroys it on failure', async () => {
    const source = ownStream({ next: async () => ({ done: true, value: undefined }) });
    const release = claimBody(source);
    expect(() => claimBody(source)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
    release();
    expect(await readAll(streamOf(bodyOf(source)))).toEqual(Buffer.alloc(0));
    await expect(readAll(streamOf(bodyOf(source)))).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect.poll(() => source.destroyed).toBe(true);
    const hanging = ownStream({ next: () => new Promise(() => {}) });
    hanging.destroyed = true;
    await expect(readAll(streamOf(bodyOf(hanging)))).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('has what an iterable yielded, even if it then refills or transfers the same memory', async () => {
    const data = randomBytes(100_000);
    const parts = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((index) => data.subarray(index * 10_000, (index + 1) * 10_000));
    const refilled = async function* (): AsyncGenerator<Uint8Array> {
      const memory = new Uint8Array(10_000);
      for (const part of parts) {
        memory.set(part);
        yield memory;
      }
    };
    const given = async function* (): AsyncGenerator<Uint8Array> {
      for (const part of parts) {
        const memory = new Uint8Array(part); // like WebAssembly memory when it grows
        yield memory;
        structuredClone(memory.buffer, { transfer: [memory.buffer] });
      }
    };
    for (const iterable of [refilled(), given()]) {
      const body = streamOf(bodyOf(iterable));
      const chunks: Buffer[] = [];
      for await (const chunk of body) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        chunks.push(chunk as Buffer);
      }
      expect(Buffer.concat(chunks).equals(data)).toBe(true);
    }
  });

  it('gives the reader the error of a source that fails before anybody reads it, and the process goes on', async () => {
    const failure = new Error('source');
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield bytes;
      throw failure;
    };
    const early = new PassThrough();
    const encoded = new PassThrough().setEncoding('utf8');
    const other = otherStream(() => {});
    const failed = [early, encoded, failing(), other].map((input) => bodyOf(input));
    const sources = [bodyOf(createReadStream(join(folder, 'no such file'))), ...failed];
    other.emit('error', failure);
    early.destroy(failure);
    encoded.destroy(failure);
    await delay(20);
    await expect(readAll(streamOf(sources[0]!))).rejects.toMatchObject({ code: 'ENOENT' });
    for (const source of sources.slice(1)) await expect(readAll(streamOf(source))).rejects.toBe(failure);
  });

  it("owns copies of the chunks of an iterable: releasing them leaves the caller's memory alone", async () => {
    const chunk = new Uint8Array(100_000).fill(1);
    const body = streamOf(bodyOf(Readable.from([chunk])[Symbol.asyncIterator]()));
    expect(hasOwnedChunks(body)).toBe(true);
    for await (const each of body) releaseChunk(each as Buffer);
    expect(chunk).toEqual(new Uint8Array(100_000).fill(1));
  });

  it('refuses a stream of a copy of node:stream that has failed already without keeping its error, which would hang', () => {
    const closed = Object.assign(
      otherStream(() => {}),
      { destroyed: true, _readableState: { errorEmitted: true } }, // like readable-stream 3
    );
    expect(() => bodyOf(closed)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
    (closed as unknown as Stream).emit('error', new Error('told in the next tick'));
  });

  it('gives the reader the error that such a stream has kept', async () => {
    const failure = new Error('source');
    const state = { destroyed: true, errored: failure, closed: true }; // like readable-stream 4
    const failed = Object.assign(
      otherStream(() => {}),
      { ...state, _readableState: { ...state, errorEmitted: true } },
    );
    await expect(readAll(streamOf(bodyOf(failed)))).rejects.toBe(failure);
  });

  it('fails when a stream of a copy of node:stream is closed before its end, though it says that it ends', async () => {
    const closed = otherStream((stream) => void stream.emit('data', bytes));
    const body = streamOf(bodyOf(closed));
    const reading = readAll(body);
    setImmediate(() => Object.assign(closed, { destroyed: true }).emit('end')); // as readable-stream 2 does
    await expect(reading).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('fails when somebody removes all listeners of a stream of a copy of node:stream, unless it has ended', async () => {
    const left = otherStream((stream) => void stream.emit('data', bytes));
    const body = streamOf(bodyOf(left));
    const reading = readAll(body);
    left.removeAllListeners();
    await expect(reading).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(left.destroyed).toBe(true);
    left.emit('error', new Error('later'));
    const ended = otherStream((stream) => void (stream.emit('data', bytes) && stream.emit('end')));
    const whole = readAll(streamOf(bodyOf(ended)));
    ended.once('end', () => ended.removeAllListeners());
    expect(await whole).toEqual(Buffer.from(bytes));
  });

  it.each([new Writable(), new Stream()])('refuses a write-only stream, which would be stored empty', (input) => {
    expect(() => bodyOf(input as unknown as BodyInput)).toThrowError(expect.objectContaining({ code: 'invalid_argument' }));
  });

  it('closes at once when a source hangs', async () => {
    let returned = false;
    const hanging: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        return: async () => {
          returned = true;
          throw new Error('that nobody waits for');
        },
      }),
    };
    const object = new Readable({ objectMode: true, read() {} });
    let cancelled = false;
    const web = new ReadableStream<Uint8Array>({ cancel: () => void (cancelled = true) });
    const other = otherStream(() => {});
    for (const input of [hanging, object, web, other]) {
      const stream = streamOf(bodyOf(input));
      const reading = readAll(stream);
      const reason = new Error('enough');
      setTimeout(() => stream.destroy(reason), 5);
      await expect(reading).rejects.toBe(reason);
      if (!stream.closed) await once(stream, 'close');
    }
    expect([returned, object.destroyed, cancelled, other.destroyed]).toEqual([true, true, true, true]);
  });
});

describe('claimBody', () => {
  it('lets nobody release what somebody else has claimed since, and holds streams of a copy of node:stream too', () => {
    const body = otherStream(() => {});
    const release = claimBody(body);
    release();
    claimBody(body);
    release();
    expect(() => claimBody(body)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });
});

describe('discard', () => {
  it('ends streams in any state, without an unhandled error', async () => {
    for (const prepare of [() => {}, (stream: Readable) => void stream.read(), (stream: Readable) => void stream.destroy()]) {
      const stream = Readable.from(chunks(), { objectMode: false });
      prepare(stream);
      discard({ kind: 'stream', stream }, new Error('unwanted'));
      discard({ kind: 'stream', stream }, new Error('again'));
      expect(stream.destroyed).toBe(true);
    }
    discard({ kind: 'buffer', data: bytes });
    await delay(5);
  });
});

describe('destroyOnAbort', () => {
  it('destroys the stream with the reason, whenever that comes', async () => {
    const reason = new Error('why');
    const cancel = new AbortController();
    const [open, late] = [new PassThrough(), new PassThrough()];
    destroyOnAbort(open, cancel.signal);
    cancel.abort(reason);
    destroyOnAbort(late, cancel.signal);
    await delay(5);
    for (const stream of [open, late]) await expect(readAll(stream)).rejects.toBe(reason);
  });

  it('leaves nothing on a signal that outlives many streams', async () => {
    const { signal } = new AbortController();
    const added: unknown[] = [];
    const removed: unknown[] = [];
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
    signal.addEventListener = ((...given: Parameters<typeof add>) => (added.push(given[1]), add(...given))) as typeof add;
    signal.removeEventListener = ((...given: Parameters<typeof remove>) => (removed.push(given[1]), remove(...given))) as typeof remove;
    for (let turn = 0; turn < 20; turn++) {
      const stream = Readable.from(chunks(), { objectMode: false });
      destroyOnAbort(stream, signal);
      await readAll(stream);
      if (!stream.closed) await once(stream, 'close');
    }
    expect(added.length).toBe(20);
    expect(removed).toEqual(added);
  });
});
