import { getEventListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { noContext, readAll } from '@coffer/storage-core';
import { afterEach, describe, expect, it } from 'vitest';

import { newStage } from '../testing/lean.ts';
import { ok, refusal } from '../testing/scripted.ts';
import type { Answer } from '../testing/scripted.ts';

const at = { bucket: 'bucket', key: 'key' };
const described = { contentType: 'text/plain' };
const payload = (size: number) => ({ kind: 'buffer', data: Buffer.alloc(size, 'x') }) as const;

const { serve, transportTo, clear } = newStage();
afterEach(clear);

describe('a request with its body in memory', () => {
  it('arrives whole, whatever its size', async () => {
    const sizes: number[] = [];
    const count: Answer = (request, response) => {
      let size = 0;
      request.on('data', (chunk: Buffer) => (size += chunk.length));
      request.once('end', () => {
        sizes.push(size);
        response.writeHead(200, { etag: '"made"' }).end();
      });
    };
    const server = await serve(count);
    const transport = transportTo(server, { maxPoolConnections: 1 });
    const wanted = [0, 1, 10_000, 65_000, 66_000, 8_000_000, 10];
    for (const size of wanted) await transport.put(at, payload(size), described, noContext);
    expect([sizes, server.connections()]).toEqual([wanted, 1]);
  });

  it('keeps the bytes of each apart from those of others that leave at once', async () => {
    const bodies: string[] = [];
    const collect: Answer = (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.once('end', () => {
        bodies.push(Buffer.concat(chunks).toString());
        response.writeHead(200, { etag: '"made"' }).end();
      });
    };
    const transport = transportTo(await serve(collect), { maxPoolConnections: 8 });
    const all = Array.from({ length: 100 }, (_, index) => String(index).padStart(5, '0').repeat(8000));
    await Promise.all(all.map((text) => transport.put(at, { kind: 'buffer', data: Buffer.from(text) }, described, noContext)));
    expect(bodies.sort()).toEqual(all);
  });

  it('fails with a refusal that comes before all of it is sent, or that is cut short', async () => {
    const early: Answer = (_request, response) => void response.writeHead(413).end('<Error><Code>EntityTooLarge</Code></Error>');
    const cut: Answer = (request, response) => {
      request.resume();
      response.writeHead(403, { 'content-length': 1000 });
      response.write('<Error><Code>AccessDenied</Code>', () => response.destroy());
    };
    // Cut too soon to tell NoSuchKey from NoSuchBucket.
    const cutSooner: Answer = (request, response) => {
      request.resume();
      response.writeHead(404, { 'content-length': 1000 });
      response.write('<Error><Code>NoSuch', () => response.destroy());
    };
    const cutAtOnce: Answer = (request, response) => {
      request.resume();
      response.writeHead(412, { 'content-length': 1000 }).write('<', () => response.destroy());
    };
    const server = await serve(early, cut, cutSooner, cutAtOnce, ok);
    const transport = transportTo(server, { maxRetries: 0, maxPoolConnections: 1 });
    await expect(transport.put(at, payload(50_000_000), described, noContext)).rejects.toMatchObject({ code: 'payload_too_large' });
    await expect(transport.put(at, payload(10), described, noContext)).rejects.toMatchObject({ code: 'access_denied' });
    await expect(transport.put(at, payload(10), described, noContext)).rejects.toMatchObject({
      code: 'storage_unavailable',
      retryable: true,
    });
    await expect(transport.put(at, payload(10), described, noContext)).rejects.toMatchObject({ code: 'precondition_failed' });
    expect(await transport.put(at, payload(10), described, noContext)).toEqual({ etag: 'made' });
  });

  it('that was refused before all of it was sent leaves its connection to no other', async () => {
    const early: Answer = (_request, response) => void response.writeHead(413).end('<Error><Code>EntityTooLarge</Code></Error>');
    const server = await serve(early, ok);
    const transport = transportTo(server, { maxRetries: 0, maxPoolConnections: 1 });
    await expect(transport.put(at, payload(50_000_000), described, noContext)).rejects.toMatchObject({ code: 'payload_too_large' });
    await transport.put(at, payload(10), described, noContext);
    expect([server.requests.length, server.connections()]).toEqual([2, 2]);
  });

  it('is not read any more once it is answered, even if some of it was not sent', async () => {
    let others = 0;
    const answered = Promise.withResolvers<void>();
    const read = Promise.withResolvers<void>();
    const early: Answer = (request, response) => {
      response.writeHead(200, { etag: '"made"', 'content-length': 10 });
      response.write('the', () => setTimeout(() => response.end(' answer'), 50));
      request.socket.on('close', read.resolve);
      request.on('error', () => {});
      void answered.promise.then(() => request.on('data', (chunk: Buffer) => (others += chunk.filter((byte) => byte !== 120).length)));
    };
    const transport = transportTo(await serve(early));
    const { data } = payload(50_000_000);
    expect(await transport.put(at, { kind: 'buffer', data }, described, noContext)).toEqual({ etag: 'made' });
    data.fill('y'); // by the next upload
    answered.resolve();
    await read.promise;
    expect(others).toBe(0);
  });

  it('that is given up while it waits lets the next one have its turn', async () => {
    let release = (): void => {};
    const held: Answer = (request, response) => {
      request.resume();
      release = () => void response.writeHead(200, { etag: '"made"' }).end();
    };
    const server = await serve(held, ok);
    const transport = transportTo(server, { maxPoolConnections: 1 });
    const cancel = new AbortController();
    const first = transport.put(at, payload(10), described, noContext);
    const second = transport.put(at, payload(10), described, { signal: cancel.signal });
    const third = transport.put(at, payload(10), described, noContext);
    await expect.poll(() => server.requests.length).toBe(1);
    cancel.abort(new Error('no more'));
    await expect(second).rejects.toThrow('no more');
    release();
    await Promise.all([first, third]);
    expect([server.requests.length, server.connections()]).toEqual([2, 1]);
  });

  it('is repeated when the connection closes along with the previous answer, even if the server did not announce it', async () => {
    const closing: Answer = (request) => {
      request.resume();
      request.once('end', () => request.socket.end('HTTP/1.1 200 OK\r\netag: "made"\r\ncontent-length: 0\r\n\r\n'));
    };
    const transport = transportTo(await serve(closing), { maxPoolConnections: 2 });
    const puts = Array.from({ length: 400 }, () => transport.put(at, payload(10), described, noContext));
    expect((await Promise.allSettled(puts)).filter(({ status }) => status === 'rejected')).toEqual([]);
  });

  it('is not repeated when a reused connection closes within its own answer', async () => {
    const half: Answer = (request) => {
      request.resume();
      request.once('end', () => request.socket.end('HTTP/1.1 200 OK\r\netag: "made"\r\n'));
    };
    const server = await serve(ok, half, ok);
    const transport = transportTo(server, { maxRetries: 0, maxPoolConnections: 1 });
    await transport.put(at, payload(10), described, noContext);
    await expect(transport.put(at, payload(10), described, noContext)).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect([server.requests.length, server.connections()]).toEqual([2, 1]);
  });

  it('has its full time, even if it starts when another one times out on a connection that was idle as long', async () => {
    const slow: Answer = (request, response) => {
      request.resume();
      setTimeout(() => response.writeHead(200, { etag: '"made"' }).end(), 50);
    };
    const never: Answer = (request) => void request.resume();
    for (let round = 0; round < 2; round++) {
      const transport = transportTo(await serve(slow, slow, never, slow), { maxPoolConnections: 4, maxRetries: 0, timeout: 1 });
      const put = () => transport.put(at, payload(5), described, noContext);
      const [first, second] = [put(), put()];
      const hanging = first.then(put).catch((error: unknown) => error);
      await second;
      const failure = await hanging;
      const next = put(); // in the callback of the timer
      expect(failure).toMatchObject({ code: 'read_timeout' });
      expect(await next).toEqual({ etag: 'made' });
    }
  });

  it('does not stay in memory, neither while its connection is kept nor after it was closed', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const server = await serve(ok);
    const transport = transportTo(server, { timeout: 1 });
    const puts = async (): Promise<readonly WeakRef<Buffer>[]> => {
      const all = Array.from({ length: 20 }, () => Buffer.alloc(100_000));
      await Promise.all(all.map((data) => transport.put(at, { kind: 'buffer', data }, described, noContext)));
      return all.map((data) => new WeakRef(data));
    };
    const held = await puts();
    const left = async (): Promise<number> => {
      await delay(10);
      collect();
      return held.filter((ref) => ref.deref() !== undefined).length;
    };
    await expect.poll(left).toBe(0);
  });

  it('leaves no listener on its signal, however it ends', async () => {
    const cut: Answer = (request) => request.socket.destroy();
    const transport = transportTo(await serve(ok, refusal(404, 'NoSuchKey'), cut), { maxRetries: 0 });
    const { signal } = new AbortController();
    for (const status of ['fulfilled', 'rejected', 'rejected']) {
      const [outcome] = await Promise.allSettled([transport.put(at, payload(10), described, { signal })]);
      expect([outcome.status, getEventListeners(signal, 'abort')]).toEqual([status, []]);
    }
  });

  it('stops reading an endless refusal once it knows which one it is, or that it never will', async () => {
    let sent = 0;
    const without = (start: string): Answer => {
      return (request, response) => {
        request.resume();
        response.writeHead(404).write(start);
        const more = (): void => {
          if (response.destroyed) return;
          sent += 16_384;
          if (response.write('x'.repeat(16_384))) setImmediate(more);
          else response.once('drain', more);
        };
        more();
      };
    };
    const transport = transportTo(await serve(without('<Error><Code>NoSuchKey</Code>'), without('a page')), { maxRetries: 0 });
    await expect(transport.put(at, payload(10), described, noContext)).rejects.toMatchObject({ code: 'file_not_found' });
    await expect(transport.put(at, payload(10), described, noContext)).rejects.toMatchObject({
      code: 'storage_unavailable',
      retryable: false,
    });
    await delay(50);
    expect(sent).toBeLessThan(12 * 2 ** 20); // what the system buffers of it
  });

  it('may follow on a connection that was paused for the reader of the previous answer', async () => {
    const size = 66_000; // a little more than a body buffers before it waits for its reader
    const large: Answer = (_request, response) =>
      void response.writeHead(200, { etag: '"made"', 'content-length': size }).end(Buffer.alloc(size));
    const server = await serve(large, ok);
    const transport = transportTo(server, { maxPoolConnections: 1, timeout: 2 });
    const result = await transport.get(at, {}, noContext);
    if (result.kind !== 'object') return expect.unreachable();
    await expect.poll(() => result.body.readableLength).toBe(size);
    await transport.put(at, payload(10), described, noContext);
    expect([(await readAll(result.body)).length, server.connections()]).toEqual([size, 1]);
  });

  it('is not sent with a header that holds another', async () => {
    const server = await serve(ok);
    const put = transportTo(server).put(at, payload(1), { ...described, contentType: 'a\r\nx-evil: 1' }, noContext);
    await expect(put).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(server.requests).toHaveLength(0);
  });
});
