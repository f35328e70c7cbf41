import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, PassThrough, Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { memoryBackend } from '../memory-backend.ts';
import type { Body } from '../object.ts';
import { StorageService } from '../storage-service.ts';
import { bodyOf, discard, readAll } from './body.ts';
import { withOwnedChunks } from './chunk-memory.ts';
import { isDirectSource } from './file-body.ts';

const data = randomBytes(400_001);
let folder: string;
let path: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coffer-relay-'));
  path = join(folder, 'file');
  await writeFile(path, data);
});
afterAll(() => rm(folder, { recursive: true }));

function* pieces(size = 10_007): Generator<Buffer> {
  for (let start = 0; start < data.length; start += size) yield data.subarray(start, start + size);
}

const sources: readonly (readonly [string, () => Readable])[] = [
  ['of bytes', () => Readable.from(pieces(), { objectMode: false })],
  ['of objects', () => Readable.from(pieces())],
  ['of large chunks', () => Readable.from(pieces(150_000), { objectMode: false, highWaterMark: 1 })],
  ['of a file', () => createReadStream(path, { highWaterMark: 4099 })],
];

/** What callers do with a stream that is being uploaded. Listeners return what they have heard. */
const uses: readonly (readonly [string, (stream: Readable) => (() => string | Buffer) | void])[] = [
  ['listens to its data', listen],
  ['pauses it', (stream) => void stream.pause()],
  ['lets it flow', (stream) => void stream.resume()],
  ['asks for its beginning', (stream) => void stream.read(0)],
  ['pauses and resumes it', (stream) => void stream.pause().resume()],
  [
    'pipes it into a hash',
    (stream) => {
      const hash = stream.pipe(createHash('sha256'));
      return () => hash.digest();
    },
  ],
  [
    'listens to it slowly',
    (stream) => {
      const heard: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => {
        heard.push(chunk);
        stream.pause();
        setImmediate(() => stream.resume());
      });
      return () => Buffer.concat(heard);
    },
  ],
  [
    'reads it when it is readable',
    (stream) => {
      const heard: Buffer[] = [];
      stream.on('readable', () => {
        for (let chunk = stream.read() as Buffer | null; chunk !== null; chunk = stream.read() as Buffer | null) heard.push(chunk);
      });
      return () => Buffer.concat(heard);
    },
  ],
];

function listen(stream: Readable): () => Buffer {
  const heard: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => heard.push(Buffer.from(chunk)));
  return () => Buffer.concat(heard);
}

function streamIn(body: Body): Readable {
  if (body.kind !== 'stream') throw new Error('It is a stream.');
  return body.stream;
}

async function someTurns(): Promise<void> {
  for (let count = 0; count < 20; count++) await turn();
}

describe.each(sources)('the body of a stream %s', (_source, open) => {
  it.each(uses)('has all bytes when somebody %s, before or after it is handed over', async (_use, use) => {
    for (const isBefore of [true, false]) {
      const source = open();
      const before = isBefore ? use(source) : undefined;
      const body = streamIn(bodyOf(source));
      const heard = isBefore ? before : use(source);
      let isToldOfEnd = false;
      source.once('end', () => (isToldOfEnd = true));
      await someTurns();
      const read = await readAll(body);
      expect(read.equals(data)).toBe(true);
      await expect.poll(() => source.closed).toBe(true);
      expect(isToldOfEnd).toBe(true);
      const told = heard?.();
      if (told?.length === 32) expect(told).toEqual(createHash('sha256').update(data).digest());
      else if (told !== undefined) expect(data.equals(told as Buffer)).toBe(true);
    }
  });

  it('has all bytes though it is begun only later', async () => {
    const storage = new StorageService({
      backend: memoryBackend({ buckets: ['bucket'] }),
      resolveBucket: async () => {
        await someTurns();
        return { bucket: 'bucket', because: 'default' };
      },
    });
    const source = open();
    const uploading = storage.uploadFile({ key: 'key', body: source });
    const heard = listen(source);
    await uploading;
    expect((await storage.downloadFile('key')).equals(data)).toBe(true);
    expect(heard().equals(data)).toBe(true);
  });

  it('ends with its stream, and its stream with it', async () => {
    const reason = new Error('ended by the test');
    const failing = open();
    const failed = streamIn(bodyOf(failing));
    failing.destroy(reason);
    await expect(readAll(failed)).rejects.toBe(reason);
    const closing = open();
    const closed = streamIn(bodyOf(closing));
    closing.destroy();
    await expect(readAll(closed)).rejects.toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' });
    const source = open();
    const body = bodyOf(source);
    discard(body, reason);
    await expect.poll(() => source.closed).toBe(true);
    expect(source.errored).toBe(reason);
  });
});

describe('the body of a stream', () => {
  it('is read no faster than it is wanted, though it is piped elsewhere', async () => {
    let made = 0;
    const source = new Readable({
      read() {
        made++;
        this.push(Buffer.alloc(65_536));
      },
    });
    const body = streamIn(bodyOf(source));
    source.pipe(createHash('sha256'));
    await someTurns();
    expect(made).toBeLessThan(6);
    body.destroy();
  });

  it('waits for other pipe destinations, which would have to buffer everything', async () => {
    let made = 0;
    const source = new Readable({
      read() {
        this.push(made++ < 100 ? Buffer.alloc(65_536) : null);
      },
    });
    const slow = source.pipe(new PassThrough());
    const gone = source.pipe(new PassThrough());
    const reading = readAll(streamIn(bodyOf(source)));
    await someTurns();
    expect(made).toBeLessThan(10);
    gone.destroy();
    await someTurns();
    expect(made).toBeLessThan(10);
    const [all, rest] = await Promise.all([reading, readAll(slow)]);
    expect([all.length, rest.length]).toEqual([6_553_600, 6_553_600]);
  });

  it('is not held up by a destination that is no longer piped to', async () => {
    for (const leave of [(from: Readable, to: PassThrough) => from.unpipe(to), (_: Readable, to: PassThrough) => to.destroy()]) {
      const source = Readable.from(pieces(), { objectMode: false });
      const body = streamIn(bodyOf(source));
      const other = source.pipe(new PassThrough());
      const reading = readAll(body);
      await someTurns();
      expect(source.readableEnded).toBe(false);
      leave(source, other);
      expect((await reading).equals(data)).toBe(true);
    }
  });

  it('leaves a stream alone that was read to its end: a response may still be written to it', async () => {
    let written = '';
    const source = new Duplex({
      read() {
        this.push(data);
        this.push(null);
      },
      write(chunk: Buffer, _encoding, done) {
        written += chunk.toString();
        done();
      },
    });
    const body = streamIn(bodyOf(source));
    let isRead = false;
    body.on('data', () => {});
    body.once('close', () => (isRead = true));
    await expect.poll(() => isRead).toBe(true);
    source.end('stored');
    await expect.poll(() => source.closed).toBe(true);
    expect(written).toBe('stored');
    const kept = Readable.from([data], { autoDestroy: false, objectMode: false });
    await readAll(streamIn(bodyOf(kept)));
    await someTurns();
    expect(kept.destroyed).toBe(false);
  });

  it.each(['latin1', 'hex'] as const)('fails when somebody has it yield text, as of %s, in place of its bytes', async (encoding) => {
    const source = Readable.from(pieces(), { objectMode: false });
    const body = streamIn(bodyOf(source));
    source.setEncoding(encoding);
    await expect(readAll(body)).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect.poll(() => source.closed).toBe(true);
  });

  it('has all bytes when somebody removes all listeners once it has ended', async () => {
    for (const isBefore of [true, false]) {
      const source = Readable.from(pieces(), { objectMode: false });
      const leave = (): void => void source.once('end', () => source.removeAllListeners());
      if (isBefore) leave();
      const body = streamIn(bodyOf(source));
      if (!isBefore) leave();
      expect((await readAll(body)).equals(data)).toBe(true);
    }
  });

  it('ends when its stream emits `end`, even if nothing else says so', async () => {
    const source = new Readable({ read() {} });
    const reading = readAll(streamIn(bodyOf(source)));
    source.push(data);
    await turn();
    source.emit('end');
    expect((await reading).equals(data)).toBe(true);
  });

  it('fails when somebody removes the listeners of its end just before that comes, which would hang', async () => {
    const source = new Readable({ read() {} });
    const reading = readAll(streamIn(bodyOf(source)));
    source.push(data);
    await turn();
    process.nextTick(() => source.removeAllListeners('end'));
    source.push(null);
    await expect(reading).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it.each([['data'], ['end'], []])(
    'fails when somebody removes all listeners of it, %s: what it yields then would be missing',
    async (...event) => {
      const source = Readable.from(pieces(), { objectMode: false });
      const body = streamIn(bodyOf(source));
      source.removeAllListeners(...event);
      await expect(readAll(body)).rejects.toMatchObject({ code: 'invalid_argument' });
      await expect.poll(() => source.closed).toBe(true);
    },
  );

  it('is a direct source for a file, and the stream itself where nobody else uses it', () => {
    const file = streamIn(bodyOf(createReadStream(path)));
    expect(isDirectSource(file)).toBe(true);
    file.destroy();
    const own = withOwnedChunks(Readable.from([]));
    expect(streamIn(bodyOf(own))).toBe(own);
    const handedOn = streamIn(bodyOf(Readable.from([])));
    expect(streamIn(bodyOf(handedOn))).toBe(handedOn);
  });
});
