import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

import { noContext } from '@coffer/storage-core';
import { expect, it, onTestFinished } from 'vitest';

import { longestError } from '../documents/answer-error.ts';
import { openStore } from '../open-store.ts';
import type { Store } from '../store.ts';
import { answering, ok, refusal, scripted } from '../testing/scripted.ts';
import { isAcceptedUnsigned } from './unsigned.ts';

const well = { assertWell: async () => {} };

it.each([
  ['resets the connection', (socket: Socket) => socket.resetAndDestroy()],
  ['sends no more', () => {}],
])('rejects, without an unhandled error, if a server starts to answer and then %s', async (_what, then) => {
  const server = createServer((socket) => {
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc', () => setTimeout(then, 20, socket)));
    socket.on('error', () => {});
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const store = openStore({ endpoint, accessKey: 'key', secretKey: 'secret', timeout: 0.2 });
  onTestFinished(() => {
    store.connection.close();
    server.close();
  });
  const asking = isAcceptedUnsigned(store, well, { url: `${endpoint}/bucket/key`, method: 'GET', headers: {} });
  await expect(asking).rejects.toMatchObject({ code: expect.stringMatching(/storage_unavailable|read_timeout/) });
});

it('is made again as often as any request where a server is busy, or a connection breaks', async () => {
  const server = await scripted(
    refusal(503, 'SlowDown', { 'retry-after': '0' }),
    (request) => request.socket.destroy(),
    ok,
    refusal(503, 'SlowDown'),
  );
  const [store, once] = [2, 0].map((maxRetries) =>
    openStore({ endpoint: server.endpoint, accessKey: 'key', secretKey: 'secret', maxRetries }),
  ) as [Store, Store];
  onTestFinished(async () => {
    for (const each of [store, once]) each.connection.close();
    await server.close();
  });
  const asked = { url: `${server.endpoint}/bucket/key`, method: 'GET', headers: {} } as const;
  expect(await isAcceptedUnsigned(store, well, asked)).toBe(true);
  expect(server.requests).toHaveLength(3);
  await expect(isAcceptedUnsigned(once, well, asked)).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
  expect(server.requests).toHaveLength(4);
});

it('is refused if the server answers 500 each time, although it is well', async () => {
  const server = await scripted(refusal(500, 'InternalError'), ok, refusal(500, 'InternalError'));
  const store = openStore({ endpoint: server.endpoint, accessKey: 'key', secretKey: 'secret', maxRetries: 1 });
  onTestFinished(async () => {
    store.connection.close();
    await server.close();
  });
  const ask = (): Promise<boolean> => isAcceptedUnsigned(store, well, { url: server.endpoint, method: 'GET', headers: {} });
  expect([await ask(), await ask(), server.requests.length]).toEqual([true, false, 6]);
});

it('succeeds with a page, however long, if that is what the server always answers', async () => {
  const server = await scripted(answering('x'.repeat(20 * longestError), { 'content-type': 'text/html' }));
  const store = openStore({ endpoint: server.endpoint, accessKey: 'key', secretKey: 'secret', maxRetries: 0 });
  onTestFinished(async () => {
    store.connection.close();
    await server.close();
  });
  expect(await isAcceptedUnsigned(store, well, { url: server.endpoint, method: 'GET', headers: {} })).toBe(true);
  expect(server.requests).toHaveLength(2);
});

it('uses the connection that signed requests have left, if there is only one', async () => {
  const server = await scripted(ok);
  const store = openStore({ endpoint: server.endpoint, accessKey: 'key', secretKey: 'secret', maxPoolConnections: 1 });
  onTestFinished(async () => {
    store.connection.close();
    await server.close();
  });
  await store.transport.headBucket('bucket', noContext);
  expect(await isAcceptedUnsigned(store, well, { url: server.endpoint, method: 'GET', headers: {} })).toBe(true);
  await store.transport.headBucket('bucket', noContext);
  expect(server.connections()).toBe(1);
});
