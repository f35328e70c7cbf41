import { once } from 'node:events';
import { Agent, get } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

import { expect, it, onTestFinished } from 'vitest';

import { scripted } from '../testing/scripted.ts';
import type { Answer } from '../testing/scripted.ts';
import { exchange } from './exchange.ts';
import { poolOver } from './pool.ts';
import { KeptWires } from './wire.ts';

/** A server with any number of names, and a pool of sockets to it. */
async function between(answer: Answer, maxSockets: number) {
  const server = await scripted(answer);
  const agent = poolOver(Agent, {
    keepAlive: true,
    maxSockets,
    lookup: (_host, _options, found) => found(null, [{ address: '127.0.0.1', family: 4 }]),
  });
  onTestFinished(async () => {
    agent.destroy();
    await server.close();
  });
  return { server, agent, port: Number(new URL(server.endpoint).port) };
}

it.each([1, 2, 4])('holds no more than %i sockets to all hosts together while a server closes each of them', async (maxSockets) => {
  const closing: Answer = (_request, response) =>
    setTimeout(() => response.writeHead(200, { connection: 'close', 'content-length': 0 }).end(), 5);
  const { agent, port } = await between(closing, maxSockets);
  const open = new Set<Socket>();
  let most = 0;
  // Some go to the host whose socket is just closing, others elsewhere.
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
  expect([most, agent.hasWaiters]).toEqual([maxSockets, false]);
});

it('makes no connection for those who gave up while they waited', async () => {
  const held = Promise.withResolvers<void>();
  const answer: Answer = ({ url }, response) => void (url === '/held' ? held.promise : Promise.resolve()).then(() => response.end());
  const { server, agent, port } = await between(answer, 1);
  const wires = new KeptWires(agent);
  const ask = (hostname: string, path: string, signal?: AbortSignal) =>
    exchange({ method: 'GET', hostname, port, path, headers: ['host', hostname] }, { agent, wires, timeout: 20_000, signal });
  const first = ask('one.test', '/held');
  const giveUp = new AbortController();
  const others = Array.from({ length: 10 }, (_, index) => ask(`${index}.test`, '/', giveUp.signal).catch((error: unknown) => error));
  const last = ask('one.test', '/');
  giveUp.abort(new Error('gone'));
  for (const outcome of await Promise.all(others)) expect(outcome).toMatchObject({ message: 'gone' });
  held.resolve();
  for (const { status } of await Promise.all([first, last])) expect(status).toBe(200);
  expect(server.connections()).toBe(1);
});

it('lets nobody pass those who wait, when somebody gives up and asks again at once', async () => {
  const { server, agent, port } = await between(({ url }, response) => void (url === '/held' || response.end()), 1);
  const wires = new KeptWires(agent);
  const ask = (path: string, signal?: AbortSignal) =>
    exchange({ method: 'GET', hostname: 'one.test', port, path, headers: ['host', 'x'] }, { agent, wires, timeout: 20_000, signal });
  const giveUp = new AbortController();
  const held = ask('/held', giveUp.signal).catch((error: unknown) => error);
  const waiting = ask('/waiting');
  await expect.poll(() => server.requests.length).toBe(1);
  giveUp.abort(new Error('gone'));
  const again = ask('/again');
  expect(await held).toMatchObject({ message: 'gone' });
  await Promise.all([waiting, again]);
  expect(server.requests.map(({ url }) => url)).toEqual(['/held', '/waiting', '/again']);
});

it('lends no connection that is just making way for another host', async () => {
  const { agent, port } = await between((_request, response) => void response.end(), 1);
  const wires = new KeptWires(agent);
  const ask = (hostname: string) =>
    exchange({ method: 'GET', hostname, port, path: '/', headers: ['host', 'x'] }, { agent, wires, timeout: 20_000, signal: undefined });
  await ask('one.test');
  const both = [ask('two.test'), ask('one.test')];
  const open = Object.values(agent.sockets).flatMap((sockets = []) => sockets.filter(({ destroyed }) => !destroyed));
  expect(open).toHaveLength(1);
  for (const { status } of await Promise.all(both)) expect(status).toBe(200);
});
