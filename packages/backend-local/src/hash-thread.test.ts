import { createHash, randomBytes } from 'node:crypto';
import type * as threads from 'node:worker_threads';

import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { HashThread } from './hash-thread.ts';
import { startChild } from './testing/child.ts';

const failure = vi.hoisted(() => ({ left: 0 }));
vi.mock('node:worker_threads', async (original) => {
  const real = await original<typeof threads>();
  class Worker extends real.Worker {
    constructor(...options: ConstructorParameters<typeof real.Worker>) {
      // As where the user may start no more threads, which a limit does not keep root from.
      if (failure.left-- > 0) throw Object.assign(new Error('EAGAIN'), { code: 'ERR_WORKER_INIT_FAILED' });
      super(...options);
    }
  }
  return { ...real, Worker };
});

let thread: HashThread;

beforeEach(() => {
  thread = new HashThread();
});

afterEach(() => thread.close());

function shared(data: Uint8Array): Uint8Array<SharedArrayBuffer> {
  const block = new Uint8Array(new SharedArrayBuffer(data.byteLength));
  block.set(data);
  return block;
}

const hex = (algorithm: string, data: Uint8Array): string => createHash(algorithm).update(data).digest('hex');

it('hashes many streams at once, each in the order of its blocks', async () => {
  const streams = Array.from({ length: 8 }, () => ({
    hash: thread.begin(),
    blocks: Array.from({ length: 20 }, () => randomBytes(10_000)),
  }));
  const digests = await Promise.all(
    streams.map(async ({ hash, blocks }) => {
      for (const block of blocks) void hash.update(shared(block));
      return hash.digest();
    }),
  );
  for (const [index, { blocks }] of streams.entries()) {
    const whole = Buffer.concat(blocks);
    expect(digests[index]).toEqual({ md5: hex('md5', whole), sha256: hex('sha256', whole) });
  }
});

it('fails the streams that it was hashing when it dies, and the next stream gets another thread', async () => {
  const innocent = thread.begin();
  await innocent.update(shared(randomBytes(10)));
  const guilty = thread.begin();
  const dead = { code: 'internal_error' };
  await expect(guilty.update({ no: 'bytes' } as never)).rejects.toMatchObject(dead);
  await expect(innocent.update(shared(randomBytes(10)))).rejects.toMatchObject(dead);
  await expect(innocent.digest()).rejects.toMatchObject(dead);
  innocent.discard();
  const next = thread.begin();
  await next.update(shared(Buffer.from('x')));
  expect((await next.digest()).md5).toBe(hex('md5', Buffer.from('x')));
});

it('is awaited by close(), even if nothing else keeps the process alive', async () => {
  const child = startChild(new URL('./testing/ended-thread.ts', import.meta.url), []);
  expect(await child.ended).toBe(0);
  expect(child.lines).toEqual(['ended']);
});

it('keeps the process alive while it has work, and no longer', async () => {
  const child = startChild(new URL('./testing/idle-thread.ts', import.meta.url), []);
  expect(await child.ended).toBe(0);
  expect(child.lines).toEqual([hex('md5', new Uint8Array(1))]);
});

it('is unavailable while the system starts no thread', async () => {
  failure.left = 1;
  expect(() => thread.begin()).toThrow(expect.objectContaining({ code: 'storage_unavailable', retryable: true }));
  expect(await thread.begin().digest()).toMatchObject({ md5: hex('md5', Buffer.of()) });
});
