import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';

import { expect, it, onTestFinished } from 'vitest';

import { settingsOf } from '../settings.ts';
import { connect } from './connection.ts';
import { exchange } from './exchange.ts';

async function answering(text: string): Promise<number> {
  const server = createServer((_request, response) => void response.end(text)).listen(0, '127.0.0.1');
  server.keepAliveTimeout = 0; // otherwise its answers would mention it, which those of stores do not
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

function connection() {
  const made = connect(settingsOf({ endpoint: 'http://127.0.0.1', accessKey: 'key', secretKey: 'secret', maxPoolConnections: 5 }));
  onTestFinished(() => made.close());
  return made;
}

it('connects to the requested host, whichever connection is kept', async () => {
  const [one, other] = [await answering('one'), await answering('other')];
  const { rawSockets } = connection();
  const read = async (port: number): Promise<string> => {
    let text = '';
    const request = { method: 'GET', hostname: '127.0.0.1', port, path: '/', headers: ['host', 'x'] } as const;
    await rawSockets.exchange(request, { begin() {}, sink: (chunk) => void (text += chunk.toString()) }, undefined);
    return text;
  };
  const release = rawSockets.lease();
  for (const [port, text] of [
    [one, 'one'],
    [other, 'other'],
    [other, 'other'],
    [one, 'one'],
  ] as const)
    expect(await read(port)).toBe(text);
  release?.();
});

it('gives the places back that it was lent, once nobody needs them', async () => {
  const { rawSockets, agent } = connection();
  const leases = Array.from({ length: 6 }, () => rawSockets.lease());
  expect([leases.filter((lease) => lease !== undefined).length, agent.maxSockets]).toEqual([5, 1]);
  for (const release of leases) release?.();
  expect(agent.maxSockets).toBe(5);
});

it('may have a place that is merely kept for the next request', async () => {
  const port = await answering('');
  const { rawSockets, agent, wires } = connection();
  const request = { method: 'GET', hostname: '127.0.0.1', port, path: '/', headers: ['host', 'x'] } as const;
  await Promise.all(Array.from({ length: 5 }, () => exchange(request, { agent, wires, timeout: 20_000, signal: undefined })));
  expect(rawSockets.lease()).toBeDefined();
  const open = [agent.sockets, agent.freeSockets].flatMap((byHost) => Object.values(byHost).flatMap((sockets = []) => sockets));
  expect(open.filter(({ destroyed }) => !destroyed)).toHaveLength(4);
});

/** A server that answers everything but `/slow`. */
async function serving(): Promise<number> {
  const server = createServer((request, response) => void (request.url === '/slow' || response.end())).listen(0, '127.0.0.1');
  server.keepAliveTimeout = 0;
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

it('lets a request in that waits, once a place is given back', async () => {
  const port = await serving();
  const { rawSockets, agent } = connection();
  const leases = Array.from({ length: 4 }, () => rawSockets.lease());
  const [slow, waiting] = ['/slow', '/'].map((path) => get({ agent, host: '127.0.0.1', port, path }).on('error', () => {}));
  await once(slow!, 'socket');
  for (const release of leases) release?.();
  await once(waiting!, 'response');
});

it('lets a request in that waits, as soon as a download is over, rather than keep its connection for another one', async () => {
  const port = await serving();
  const { rawSockets, agent } = connection();
  const leases = Array.from({ length: 4 }, () => rawSockets.lease());
  const request = { method: 'GET', hostname: '127.0.0.1', port, path: '/', headers: ['host', 'x'] } as const;
  await Promise.all(leases.map(() => rawSockets.exchange(request, { begin() {}, sink() {} }, undefined)));
  const [slow, waiting] = ['/slow', '/'].map((path) => get({ agent, host: '127.0.0.1', port, path }).on('error', () => {}));
  await once(slow!, 'socket');
  expect(agent.hasWaiters).toBe(true);
  leases[0]?.();
  await turn();
  expect(agent.hasWaiters).toBe(false);
  await once(waiting!, 'response');
});

it('keeps the connection of a download for one that follows at once, whoever waits', async () => {
  const port = await serving();
  const { rawSockets, agent } = connection();
  const leases = Array.from({ length: 4 }, () => rawSockets.lease());
  const request = { method: 'GET', hostname: '127.0.0.1', port, path: '/', headers: ['host', 'x'] } as const;
  const read = (): Promise<void> => rawSockets.exchange(request, { begin() {}, sink() {} }, undefined);
  await Promise.all(leases.map(read));
  const [slow] = ['/slow', '/'].map((path) => get({ agent, host: '127.0.0.1', port, path }).on('error', () => {}));
  await once(slow!, 'socket');
  leases[0]?.();
  expect(rawSockets.lease()).toBeDefined();
  await turn();
  expect(agent.hasWaiters).toBe(true);
});

it('closes no more connections of downloads than requests wait for a place', async () => {
  const port = await serving();
  const { rawSockets, agent } = connection();
  const leases = Array.from({ length: 4 }, () => rawSockets.lease());
  const request = { method: 'GET', hostname: '127.0.0.1', port, path: '/', headers: ['host', 'x'] } as const;
  await Promise.all(leases.map(() => rawSockets.exchange(request, { begin() {}, sink() {} }, undefined)));
  const [slow] = ['/slow', '/slow'].map((path) => get({ agent, host: '127.0.0.1', port, path }).on('error', () => {}));
  await once(slow!, 'socket');
  for (const release of leases) release?.();
  await turn();
  expect(agent.hasWaiters).toBe(false);
  expect(agent.maxSockets).toBe(2); // beside three that are kept
});

it('ends the downloads that are under way when it is closed', async () => {
  const port = await serving();
  const { rawSockets, close } = connection();
  rawSockets.lease();
  const request = { method: 'GET', hostname: '127.0.0.1', port, path: '/slow', headers: ['host', 'x'] } as const;
  const asked = rawSockets.exchange(request, { begin() {}, sink() {} }, undefined);
  close();
  await expect(asked).rejects.toMatchObject({ code: 'ECONNRESET' });
});
