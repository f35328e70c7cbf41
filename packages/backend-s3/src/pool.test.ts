import { once } from 'node:events';
import { Agent, get } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

import { expect, it, onTestFinished } from 'vitest';

import { poolOver } from './pool.ts';
import { scripted } from './testing/scripted.ts';
import type { Answer } from './testing/scripted.ts';

it.each([1, 2, 4])('holds no more than %i sockets to all hosts together while a server closes each of them', async (maxSockets) => {
  const closing: Answer = (_request, response) =>
    setTimeout(() => response.writeHead(200, { connection: 'close', 'content-length': 0 }).end(), 5);
  const server = await scripted(closing);
  const { port } = new URL(server.endpoint);
  const agent = poolOver(Agent, {
    keepAlive: true,
    maxSockets,
    lookup: (_host, _options, found) => found(null, [{ address: '127.0.0.1', family: 4 }]),
  });
  onTestFinished(async () => {
    agent.destroy();
    await server.close();
  });
  const open = new Set<Socket>();
  let most = 0;
  // Some go to the host whose socket is just closing, and others elsewhere.
  const hosts = [0, 0, 1, 0, 1, 1, 2, 0, 0, 2];
  const asked = Array.from({ length: 40 }, async (_, index) => {
    const request = get({ agent, host: `host-${hosts[index % hosts.length]}.test`, port });
    request.once('socket', (socket) => {
      for (const each of open.add(socket)) if (each.destroyed) open.delete(each);
      most = Math.max(most, open.size);
    });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    await once(response.resume(), 'end');
  });
  await Promise.all(asked);
  expect([most, agent.isWaitedFor]).toEqual([maxSockets, false]);
});
