import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';

import { describe, expect, it } from 'vitest';

import { noContext } from '../context.ts';
import { sendObject } from '../http/send-object.ts';
import { observe } from '../layers/observe.ts';
import { wrapBackend } from '../layers/wrap-backend.ts';
import { memoryBackend } from '../memory-backend.ts';
import type { GetResult } from '../object.ts';
import type { OperationEvent } from '../observer.ts';
import { readAll } from './body.ts';
import { takeWholeBody, wholeBody, wholeBodyLength } from './whole-body.ts';

const bytes = Buffer.from('all of it');

describe('a body that is in memory', () => {
  it('is a stream like any other', async () => {
    expect(await buffer(wholeBody(bytes))).toEqual(bytes);
    expect(await readAll(wholeBody(Buffer.alloc(0)))).toHaveLength(0);
    expect(await buffer(wholeBody(bytes).pipe(new PassThrough()))).toEqual(bytes);
    const body = wholeBody(bytes);
    const ended = Promise.all([once(body, 'end'), once(body, 'close')]);
    body.resume();
    await ended;
  });

  it('gives its bytes once, to whoever asks before it is read', async () => {
    const body = wholeBody(bytes);
    expect(wholeBodyLength(body)).toBe(bytes.length);
    expect(takeWholeBody(body)).toBe(bytes);
    expect([takeWholeBody(body), wholeBodyLength(body)]).toEqual([undefined, undefined]);
    expect(await readAll(wholeBody(bytes))).toBe(bytes);
    const read = wholeBody(bytes);
    read.read(0);
    expect(takeWholeBody(read)).toBeUndefined();
    const left = wholeBody(bytes);
    left.destroy();
    expect([takeWholeBody(left), wholeBodyLength(left)]).toEqual([undefined, undefined]);
    expect(takeWholeBody(new PassThrough())).toBeUndefined();
  });

  it('is not taken from somebody who listens to it', async () => {
    const body = wholeBody(bytes);
    const ended = once(body, 'end');
    expect(takeWholeBody(body)).toBeUndefined();
    expect(await readAll(body)).toEqual(bytes);
    await ended;
  });

  it('is not read under a signal that is aborted', async () => {
    const cancel = new AbortController();
    const body = wholeBody(bytes, cancel.signal);
    cancel.abort(new Error('no more'));
    expect(takeWholeBody(body)).toBeUndefined();
    await expect(buffer(body)).rejects.toThrow('no more');
  });

  it('fails when it is read after it was taken: it would look empty', async () => {
    const body = wholeBody(bytes);
    takeWholeBody(body);
    body.read();
    await new Promise((resolve) => setImmediate(resolve)); // nobody listens yet, and the process goes on
    await expect(buffer(body)).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('is sent, and counted as it was opened', async () => {
    const inner = memoryBackend();
    const at = { bucket: 'bucket', key: 'key' };
    await inner.buckets?.create(at.bucket, {}, noContext);
    const info = await inner.put(at, { kind: 'buffer', data: bytes }, { contentType: 'text/plain' }, noContext);
    const events: OperationEvent[] = [];
    const whole = (data: Buffer): Promise<GetResult> => {
      const backend = wrapBackend(
        { ...wrapBackend(inner), get: async () => ({ kind: 'object', info, body: wholeBody(Buffer.from(data)), ownsChunks: true }) },
        observe({ operation: (event) => void events.push(event) }),
      );
      return backend.get(at, {}, noContext);
    };
    let data = bytes;
    const server = createServer((request, response) => void sendObject(request, response, () => whole(data)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const asked = async (): Promise<IncomingMessage> => {
      const request = get({ port });
      const [answer] = (await once(request, 'response')) as [IncomingMessage];
      return answer;
    };
    expect(await buffer(await asked())).toEqual(bytes);
    expect(events).toMatchObject([{ operation: 'download', outcome: 'success', bytes: bytes.length }]);
    // A provider that sends less than it announced.
    data = bytes.subarray(1);
    await expect(asked().then(buffer)).rejects.toMatchObject({ code: 'ECONNRESET' });
    server.closeAllConnections();
    server.close();
  });
});
