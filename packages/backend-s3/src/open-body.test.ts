import { once } from 'node:events';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { noContext, observe, readAll, wrapBackend } from '@coffer/storage-core';
import type { ObjectStream, OperationEvent, StorageBackend } from '@coffer/storage-core';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { s3Backend } from './backend.ts';
import { scripted } from './testing/scripted.ts';
import type { Answer } from './testing/scripted.ts';

describe.each(['lean', 'sdk'] as const)('an open body (%s) that ends in the middle', (transport) => {
  const closing: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });

  const openAt = async (answer: Answer, events: OperationEvent[]): Promise<ObjectStream> => {
    const server = await scripted(answer);
    const options = { endpoint: server.endpoint, accessKey: 'a', secretKey: 'b', forcePathStyle: true, transport, maxRetries: 0 };
    const backend: StorageBackend = wrapBackend(s3Backend(options), observe({ operation: (event) => void events.push(event) }));
    closing.push(() => backend.close(), server.close);
    return (await backend.get({ bucket: 'bucket', key: 'k' }, {}, noContext)) as ObjectStream;
  };
  const begun: Answer = (_request, response) => {
    response.writeHead(200, { etag: '"e"', 'last-modified': new Date().toUTCString(), 'content-length': '5000000' });
    response.write(Buffer.alloc(1_000_000));
  };

  it.each([
    ['a disk that is full', { code: 'ENOSPC', syscall: 'write' }],
    ['a connection that is reset', { code: 'ECONNRESET', syscall: 'read' }],
    ['anything that fails', {}],
  ])('is not a failure of the provider if its reader writes to %s', async (_name, fields) => {
    const error = Object.assign(new Error('reader'), fields);
    const events: OperationEvent[] = [];
    const { body } = await openAt(begun, events);
    const reading = pipeline(body, new Writable({ write: (_chunk, _encoding, done) => done(error) }));
    await expect(reading).rejects.toBe(error);
    expect(events).toMatchObject([{ operation: 'download', outcome: 'success', code: 'aborted' }]);
  });

  it('is a failure of the provider if that closes the connection', async () => {
    const events: OperationEvent[] = [];
    const { body } = await openAt((request, response) => {
      begun(request, response);
      setTimeout(() => request.socket.destroy(), 50);
    }, events);
    await expect(readAll(body)).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(events).toMatchObject([{ operation: 'download', outcome: 'error', code: 'storage_unavailable' }]);
  });

  it('leaves no timer behind', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const { body } = await openAt(begun, []);
      expect(vi.getTimerCount()).toBe(1);
      body.destroy();
      await once(body, 'close');
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});
