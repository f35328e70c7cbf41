import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { expect, it } from 'vitest';

import { RawSocket } from './raw-socket.ts';

it('waits as long for the second answer as for the first one, however soon it is asked for', async () => {
  const server = createServer((socket) => {
    let asked = 0;
    socket.on('error', () => {});
    socket.on('data', () => {
      const answer = (): boolean => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      if (asked++ === 0) answer();
      else void delay(1500).then(answer);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = new RawSocket({ hostname: '127.0.0.1', port, isTls: false, verifySsl: true, timeout: 5000 }, () => {});
  const got: string[] = [];
  const begin = (): void => {};
  const again = async (): Promise<void> => {
    while (!socket.isFree) await Promise.resolve();
    await socket.exchange('GET / HTTP/1.1\r\n\r\n', { begin, sink: (chunk) => void got.push(chunk.toString()) }, undefined);
  };
  let second: Promise<void> | undefined;
  const sink = async (chunk: Buffer): Promise<void> => {
    got.push(chunk.toString());
    second = again();
  };
  await socket.exchange('GET / HTTP/1.1\r\n\r\n', { begin, sink }, undefined);
  await second;
  expect(got).toEqual(['ok', 'ok']);
  socket.close();
  server.close();
});
