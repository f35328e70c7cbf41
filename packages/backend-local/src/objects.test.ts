import { createHash, randomBytes } from 'node:crypto';
import { linkSync } from 'node:fs';
import { readdir, rmdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { DatabaseSync } from 'node:sqlite';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';

import { hasCode, noContext, readAll, withOwnedChunks } from '@coffer/storage-core';
import type { Body, GetOptions, ObjectInfo, PutOptions } from '@coffer/storage-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';

import { localBackend } from './backend.ts';
import type { LocalBackend } from './backend.ts';
import { filesIn, leftoversIn, scratch } from './testing/storage.ts';

const mebibyte = 1024 * 1024;

let root: string;
let backend: LocalBackend;
let remove: () => Promise<void>;

beforeAll(async () => {
  ({ path: root, remove } = await scratch());
  backend = localBackend({ root });
  await backend.buckets!.create('bucket', {}, noContext);
});

afterAll(async () => {
  await backend.close();
  await remove();
});

const at = (key: string): { readonly bucket: string; readonly key: string } => ({ bucket: 'bucket', key });

function put(key: string, body: Body | Uint8Array, options: Partial<PutOptions> = {}): Promise<ObjectInfo> {
  return backend.put(
    at(key),
    body instanceof Uint8Array ? { kind: 'buffer', data: body } : body,
    { contentType: 'a/b', ...options },
    noContext,
  );
}

async function read(key: string): Promise<Buffer> {
  const result = await backend.get(at(key), {}, noContext);
  return result.kind === 'object' ? readAll(result.body) : expect.fail('not an object');
}

const hex = (algorithm: string, data: Uint8Array): string => createHash(algorithm).update(data).digest('hex');

/** `data` in chunks of `size` bytes. */
function chunked(data: Uint8Array, size: number): Readable {
  const chunks = Array.from({ length: Math.ceil(data.length / size) }, (_, index) => data.subarray(index * size, (index + 1) * size));
  return Readable.from(chunks, { objectMode: false });
}

/** Links a file to names outside the storage until the file system refuses more, if it has such a limit (ext4: 65,000). */
async function exhaustLinks(path: string): Promise<{ readonly names: number; remove(): Promise<void> }> {
  const { path: directory, remove: removeNames } = await scratch();
  let names = 0;
  try {
    for (; names < 66_000; names++) linkSync(path, join(directory, String(names)));
  } catch (error) {
    expect(error).toMatchObject({ code: 'EMLINK' });
  }
  return { names, remove: removeNames };
}

describe('bytes on their way in', () => {
  // Around the sizes at which the buffer is replaced by another.
  const sizes = [
    0,
    1,
    65_535,
    65_536,
    65_537,
    262_143,
    262_144,
    262_145,
    mebibyte - 1,
    mebibyte,
    mebibyte + 1,
    3 * mebibyte,
    4 * mebibyte + 17,
  ];

  it.each(sizes)('%i bytes arrive whole and are hashed, in whatever pieces', async (size) => {
    const data = randomBytes(size);
    const bodies: Body[] = [
      { kind: 'buffer', data },
      { kind: 'stream', stream: chunked(data, 70_000) },
      { kind: 'stream', stream: chunked(data, 1_500_000), size },
      { kind: 'stream', stream: chunked(data, size || 1), size },
    ];
    for (const body of bodies) {
      const info = await put('sized', body);
      expect(info).toMatchObject({ size, etag: hex('md5', data), sha256: hex('sha256', data) });
      expect((await read('sized')).equals(data)).toBe(true);
    }
    expect(await leftoversIn(root, backend)).toEqual([]);
  });

  it.each([true, false])('the memory of chunks is released if nobody else owns them: %s', async (isOwned) => {
    const chunks = [1, 2, 3].map((byte) => Buffer.from(new ArrayBuffer(200_000)).fill(byte));
    const whole = Buffer.concat(chunks);
    const stream = Readable.from(chunks, { objectMode: false });
    await put('owned', { kind: 'stream', stream: isOwned ? withOwnedChunks(stream) : stream });
    expect(chunks.map(({ length }) => length)).toEqual(isOwned ? [0, 0, 0] : [200_000, 200_000, 200_000]);
    expect((await read('owned')).equals(whole)).toBe(true);
  });

  it('bytes are stored also where the global Uint8Array is not that of Buffers, as with jsdom', async () => {
    onTestFinished(() => void vi.unstubAllGlobals());
    const data = randomBytes(10);
    vi.stubGlobal('Uint8Array', runInNewContext('Uint8Array'));
    for (const body of [
      { kind: 'buffer', data },
      { kind: 'stream', stream: Readable.from([data]) },
    ] as const) {
      await put('jsdom', body);
      expect(await read('jsdom')).toEqual(data);
    }
  });

  it('a stream of strings is stored as UTF-8', async () => {
    const stream = Readable.from(['grüße ', 'aus ', 'strings']);
    await put('strings', { kind: 'stream', stream });
    expect((await read('strings')).toString()).toBe('grüße aus strings');
  });

  it('a stream of anything else is refused', async () => {
    await expect(put('objects', { kind: 'stream', stream: Readable.from([{ a: 1 }]) })).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(await leftoversIn(root, backend)).toEqual([]);
  });

  it('a large body of a wrong checksum leaves nothing, and the object that was there', async () => {
    const old = Buffer.from('old');
    await put('guarded', old);
    const stream = chunked(randomBytes(5 * mebibyte), 100_000);
    await expect(put('guarded', { kind: 'stream', stream }, { sha256: hex('sha256', old) })).rejects.toMatchObject({
      code: 'checksum_mismatch',
    });
    expect(await leftoversIn(root, backend)).toEqual([]);
    expect((await read('guarded')).equals(old)).toBe(true);
  });

  it.each(['some steps', 'a moment'])('are refused or stored whole, if their memory goes away %s later', async (when) => {
    for (const size of [10, 70_000, 3 * mebibyte]) {
      const data = new Uint8Array(size).fill(1);
      const stored = put(`gone-${size}`, data);
      const whole = hex('md5', data);
      if (when === 'a moment') await new Promise((resolve) => setImmediate(resolve));
      else for (let step = 0; step < 100; step++) await Promise.resolve();
      structuredClone(data.buffer, { transfer: [data.buffer] });
      const outcome = await stored.then(
        ({ etag }) => etag,
        (error: unknown) => (hasCode(error, 'invalid_argument') ? 'refused' : error),
      );
      expect([whole, 'refused']).toContain(outcome);
      if (outcome === whole) expect(hex('md5', await read(`gone-${size}`))).toBe(whole);
      else await expect(read(`gone-${size}`)).rejects.toMatchObject({ code: 'file_not_found' });
      await backend.delete(at(`gone-${size}`), noContext);
    }
    expect(await leftoversIn(root, backend)).toEqual([]);
  });

  it.each([
    ['is transferred elsewhere', (memory: ArrayBuffer): unknown => structuredClone(memory, { transfer: [memory] })],
    ['is shrunk', (memory: ArrayBuffer): unknown => memory.resize(1)],
  ])('are refused, if their memory %s while the directory is being opened', async (_how, take) => {
    const other = localBackend({ root });
    const memory = new ArrayBuffer(10, { maxByteLength: 10 });
    const body = { kind: 'buffer', data: new Uint8Array(memory, 0, 10) } as const;
    const stored = other.put(at('early'), body, { contentType: 'a/b' }, noContext);
    take(memory);
    await expect(stored).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(read('early')).rejects.toMatchObject({ code: 'file_not_found' });
    await other.close();
  });

  it('a bucket that is not there is noticed before the body is touched', async () => {
    let asked = 0;
    const stream = new Readable({ read: () => void asked++ });
    const refused = backend.put({ bucket: 'missing', key: 'x' }, { kind: 'stream', stream }, { contentType: 'a/b' }, noContext);
    await expect(refused).rejects.toMatchObject({ code: 'no_such_bucket' });
    expect([asked, stream.destroyed]).toEqual([0, true]);
  });

  it('a condition that does not hold is noticed before the body is touched', async () => {
    await put('taken', Buffer.from('x'));
    let asked = 0;
    const stream = new Readable({ read: () => void asked++ });
    await expect(put('taken', { kind: 'stream', stream }, { ifNoneMatch: '*' })).rejects.toMatchObject({ code: 'precondition_failed' });
    expect(asked).toBe(0);
  });
});

describe('bytes on disk', () => {
  it('a copy is another name for the same bytes, of any size', async () => {
    await put('source', randomBytes(2 * mebibyte));
    const before = await filesIn(join(root, 'bucket'));
    await backend.copy(at('source'), at('copy'), {}, noContext);
    const added = (await filesIn(join(root, 'bucket'))).filter((path) => !before.includes(path));
    expect(added).toHaveLength(1);
    expect((await stat(join(root, 'bucket', added[0]!))).nlink).toBe(2);
    await backend.delete(at('source'), noContext);
    expect((await read('copy')).length).toBe(2 * mebibyte);
  });

  it('a copy of bytes with as many links as the file system allows has bytes of its own', async () => {
    const before = await filesIn(join(root, 'bucket'));
    await put('popular', Buffer.from('popular'));
    const [blob = ''] = (await filesIn(join(root, 'bucket'))).filter((file) => !before.includes(file));
    const { names, remove: removeNames } = await exhaustLinks(join(root, 'bucket', blob));
    await backend.copy(at('popular'), at('popular/copy'), {}, noContext);
    await removeNames();
    expect((await read('popular/copy')).toString()).toBe('popular');
    await backend.delete(at('popular'), noContext);
    expect((await read('popular/copy')).toString()).toBe('popular');
    expect(names).toBeGreaterThan(0);
    expect(await leftoversIn(root, backend)).toEqual([]);
  });

  it('an object whose bytes are cut short is not read as if it were whole', async () => {
    const before = await filesIn(join(root, 'bucket'));
    await put('short', Buffer.from('whole'));
    const [blob = ''] = (await filesIn(join(root, 'bucket'))).filter((file) => !before.includes(file));
    await truncate(join(root, 'bucket', blob), 3);
    await expect(read('short')).rejects.toMatchObject({ code: 'internal_error' });
  });

  it('nothing stays of what was replaced or deleted', async () => {
    const before = await filesIn(root);
    for (let turn = 0; turn < 5; turn++) await put('replaced', randomBytes(1000));
    await backend.delete(at('replaced'), noContext);
    expect(await filesIn(root)).toEqual(before);
  });

  it('a reader keeps the bytes it opened, though the object is replaced and deleted', async () => {
    const data = randomBytes(3 * mebibyte);
    await put('read', data);
    const result = await backend.get(at('read'), {}, noContext);
    await put('read', Buffer.from('new'));
    await backend.delete(at('read'), noContext);
    if (result.kind !== 'object') expect.fail();
    expect((await readAll(result.body)).equals(data)).toBe(true);
  });

  it('readers of an object that is replaced all the time always find one version, whole', async () => {
    await put('busy', Buffer.alloc(1000, 0));
    let over = false;
    const writing = (async () => {
      for (let turn = 1; turn < 150; turn++) await put('busy', Buffer.alloc(1000 + turn, turn));
      over = true;
    })();
    while (!over) {
      const data = await read('busy');
      expect(data.equals(Buffer.alloc(1000 + data[0]!, data[0]!))).toBe(true);
    }
    await writing;
  });
});

describe('a bucket that is deleted while objects are written to it', () => {
  it('loses no committed write, and keeps no bytes of a failed one', async () => {
    for (let round = 0; round < 20; round++) {
      const bucket = `race-${round}`;
      await backend.buckets!.create(bucket, {}, noContext);
      const writes = Promise.allSettled(
        Array.from({ length: 4 }, (_, index) =>
          backend.put({ bucket, key: `k${index}` }, { kind: 'buffer', data: Buffer.from(`v${index}`) }, { contentType: 'a/b' }, noContext),
        ),
      );
      await new Promise((resolve) => setTimeout(resolve, round % 5));
      const deletion = backend.buckets!.delete(bucket, {}, noContext);
      const [deleted] = await Promise.allSettled([deletion]);
      const written = await writes;
      if (deleted.status === 'fulfilled') {
        for (const write of written) expect(write.status === 'rejected' && hasCode(write.reason, 'no_such_bucket')).toBe(true);
        expect((await filesIn(root)).filter((path) => path.startsWith(`${bucket}/`))).toEqual([]);
      } else {
        expect(deleted.reason).toMatchObject({ code: 'bucket_not_empty' });
        for (const write of written) expect(write.status).toBe('fulfilled');
        expect((await backend.list(bucket, {}, noContext)).objects).toHaveLength(4);
      }
      await backend.buckets!.delete(bucket, { force: true }, noContext).catch(() => {});
    }
    expect(await leftoversIn(root, backend)).toEqual([]);
  });

  it('keeps what is written while others repeatedly remove its empty directories', async () => {
    await backend.buckets!.create('shaken', {}, noContext);
    const directory = join(root, 'shaken');
    for (let index = 0; index < 100; index++) {
      const data = Buffer.from(`v${index}`);
      const written = backend.put({ bucket: 'shaken', key: `k${index}` }, { kind: 'buffer', data }, { contentType: 'a/b' }, noContext);
      let isUnderWay = true;
      const ended = written.finally(() => (isUnderWay = false));
      for (let taken = 0; isUnderWay && taken < 5;) {
        const shards = await readdir(directory).catch(() => []);
        const gone = await Promise.all(
          shards.map((shard) =>
            rmdir(join(directory, shard)).then(
              () => 1,
              () => 0,
            ),
          ),
        );
        taken += gone.reduce<number>((sum, one) => sum + one, 0);
      }
      await ended;
    }
    expect((await backend.list('shaken', {}, noContext)).objects).toHaveLength(100);
  });

  it('fails no write because its directory was removed', async () => {
    await backend.buckets!.create('fragile', {}, noContext);
    // Acts like another process that repeatedly finds such a bucket gone.
    const remover = new Worker(
      `const { readdirSync, rmdirSync } = require('node:fs');
       const { workerData: directory } = require('node:worker_threads');
       const trying = (work) => { try { return work(); } catch { return []; } };
       for (const until = Date.now() + 2000; Date.now() < until;) {
         for (const shard of trying(() => readdirSync(directory))) trying(() => rmdirSync(directory + '/' + shard));
         trying(() => rmdirSync(directory));
         Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.random() * 10);
       }`,
      { eval: true, workerData: join(root, 'fragile') },
    );
    let over = false;
    remover.once('exit', () => (over = true));
    let count = 0;
    const data = Buffer.from('v');
    while (!over) {
      await backend.put({ bucket: 'fragile', key: `k${count++}` }, { kind: 'buffer', data }, { contentType: 'a/b' }, noContext);
      await backend.delete({ bucket: 'fragile', key: `k${count - 1}` }, noContext);
    }
    expect(count).toBeGreaterThan(0);
  });

  it('is emptied by force, of more objects than one transaction takes', async () => {
    await backend.buckets!.create('large', {}, noContext);
    for (let index = 0; index < 11; index++) {
      const keys = Array.from({ length: 100 }, (_, inner) => `k/${index}/${inner}`);
      await Promise.all(
        keys.map((key) =>
          backend.put({ bucket: 'large', key }, { kind: 'buffer', data: Buffer.from(key) }, { contentType: 'a/b' }, noContext),
        ),
      );
    }
    await backend.buckets!.delete('large', { force: true }, noContext);
    expect((await filesIn(root)).filter((path) => path.startsWith('large'))).toEqual([]);
    await backend.buckets!.create('large', {}, noContext);
    expect((await backend.list('large', {}, noContext)).objects).toEqual([]);
  });

  it('is emptied by force in small steps, since one is made while nothing else can happen', async () => {
    await backend.buckets!.create('huge', {}, noContext);
    const db = new DatabaseSync(join(root, 'index.db'), { timeout: 5000 });
    onTestFinished(() => db.close());
    const { id } = db.prepare("SELECT id FROM buckets WHERE name = 'huge'").get() as { readonly id: number };
    const insert = db.prepare("INSERT INTO objects VALUES (?, ?, ?, 1, x'00', x'00', 0, 'a/b', 'STANDARD', 'private', NULL)");
    db.exec('BEGIN');
    for (let index = 0; index < 2000; index++) insert.run(id, Buffer.from(`k/${index}`), randomBytes(16));
    db.exec('COMMIT');
    const count = db.prepare('SELECT count(*) AS rows FROM objects WHERE bucket = ?');
    const rowsLeft = (): number => (count.get(id) as { readonly rows: number }).rows;

    const left = [rowsLeft()];
    let isOver = false;
    const look = (): void => {
      if (isOver) return;
      left.push(rowsLeft());
      setImmediate(look);
    };
    setImmediate(look);
    await backend.buckets!.delete('huge', { force: true }, noContext).finally(() => (isOver = true));
    left.push(rowsLeft());
    const steps = left.slice(1).map((rows, index) => left[index]! - rows);
    expect(Math.max(...steps)).toBeLessThanOrEqual(250);
    expect(left.at(-1)).toBe(0);
  });

  it('may have a name like those of the storage itself', async () => {
    for (const bucket of ['tmp', 'index', 'buckets']) {
      await backend.buckets!.create(bucket, {}, noContext);
      await backend.put({ bucket, key: 'x' }, { kind: 'buffer', data: Buffer.from(bucket) }, { contentType: 'a/b' }, noContext);
      const result = await backend.get({ bucket, key: 'x' }, {}, noContext);
      expect(result.kind === 'object' && (await readAll(result.body)).toString()).toBe(bucket);
    }
  });
});

describe('a call that is cancelled', () => {
  const reason = new Error('not wanted any more');

  it('while it opens the storage stops waiting for the body', async () => {
    const unopened = localBackend({ root });
    const cancel = new AbortController();
    const stream = new Readable({ read() {} });
    const failed = new Promise((resolve) => stream.on('error', resolve));
    const writing = unopened.put(at('cancelled'), { kind: 'stream', stream }, { contentType: 'a/b' }, { signal: cancel.signal });
    cancel.abort(reason);
    const end = setTimeout(() => stream.destroy(new Error('nobody did')), 5000);
    await expect(writing).rejects.toBe(reason);
    expect(await failed).toBe(reason);
    clearTimeout(end);
    await unopened.close();
  });

  it('once its bytes are there, but before they are an object, leaves nothing', async () => {
    const cancel = new AbortController();
    const now = (): Date => (cancel.abort(reason), new Date()); // asked between the two
    const other = localBackend({ root, now });
    const body: Body = { kind: 'buffer', data: Buffer.from('bytes') };
    await expect(other.put(at('late'), body, { contentType: 'a/b' }, { signal: cancel.signal })).rejects.toBe(reason);
    await expect(read('late')).rejects.toMatchObject({ code: 'file_not_found' });
    expect(await leftoversIn(root, other)).toEqual([]);
    await other.close();
  });

  it('while it copies leaves no copy', async () => {
    await put('source of none', Buffer.from('bytes'));
    const cancel = new AbortController();
    const onlyIf = (): boolean => (cancel.abort(reason), true);
    await expect(backend.copy(at('source of none'), at('no copy'), { onlyIf }, { signal: cancel.signal })).rejects.toBe(reason);
    await expect(read('no copy')).rejects.toMatchObject({ code: 'file_not_found' });
    expect(await leftoversIn(root, backend)).toEqual([]);
  });

  it('before it removes objects with their bucket removes none', async () => {
    await put('stays', Buffer.from('bytes'));
    const cancel = new AbortController();
    const removing = backend.buckets!.delete('bucket', { force: true }, { signal: cancel.signal });
    cancel.abort(reason);
    await expect(removing).rejects.toBe(reason);
    expect((await read('stays')).toString()).toBe('bytes');
  });

  it('while it opens an object gets no body', async () => {
    await put('read', Buffer.from('bytes'));
    const cancel = new AbortController();
    const options: GetOptions = {
      get range() {
        cancel.abort(reason); // the row has been read, and its file is opened next
        return { start: 0 };
      },
    };
    await expect(backend.get(at('read'), options, { signal: cancel.signal })).rejects.toBe(reason);
  });
});
