import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

import { expect, it, onTestFinished } from 'vitest';

import { openStore } from './open-store.ts';
import { isTakenUnsigned } from './probe-unsigned.ts';

it.each([
  ['resets the connection', (socket: Socket) => socket.resetAndDestroy()],
  ['sends no more', () => {}],
])('fails, and nothing else does, where a server answers and then %s', async (_what, then) => {
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
  const asking = isTakenUnsigned(store, { url: `${endpoint}/bucket/key`, method: 'GET', headers: {} }, 's3:GetObject');
  await expect(asking).rejects.toMatchObject({ code: expect.stringMatching(/storage_unavailable|read_timeout/) });
});
