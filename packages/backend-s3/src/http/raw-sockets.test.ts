import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';

import { expect, it, onTestFinished } from 'vitest';

import { settingsOf } from '../settings.ts';
import { eventually } from '../testing/eventually.ts';
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

function connection(maxPoolConnections = 5) {
  const made = connect(settingsOf({ endpoint: 'http://127.0.0.1', accessKey: 'key', secretKey: 'secret', maxPoolConnections }));
  onTestFinished(() => made.close());
  return made;
}

it('connects to the requested host, whichever connection is kept', async () => {
  const [one, other] = [await answering('one'), await answering('other')];
  const { rawSockets, agent } = connection();
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
  expect(agent.maxSockets).toBe(4); // each connection to the other host has made way
});

it('gives the places back that it was lent, once nobody needs them', async () => {
  const { rawSockets, agent } = connection();
  const leases = Array.from({ length: 6 }, () => rawSockets.lease());
  expect([leases.filter((lease) => lease !== undefined).length, agent.maxSockets]).toEqual([5, 1]);
  for (const release of leases) release?.();
  expect(agent.maxSockets).toBe(5);
});

it('leaves the only connection to requests', () => {
  expect(connection(1).rawSockets.lease()).toBeUndefined();
});

it('leaves the place of a connection that is closing to the request that was promised it', async () => {
  const port = await serving();
  const { rawSockets, agent } = connection(2);
  const ask = (path: string) => get({ agent, host: '127.0.0.1', port, path }).on('error', () => {});
  const [closing, slow] = [ask('/slow'), ask('/slow')];
  await Promise.all([once(closing, 'socket'), once(slow, 'socket')]);
  closing.socket?.destroy();
  const waiting = ask('/');
  expect(rawSockets.lease()).toBeUndefined();
  await once(waiting, 'response');
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
async function listening(): Promise<{ readonly port: number; readonly connections: () => number }> {
  let connections = 0;
  const server = createServer((request, response) => void (request.url === '/slow' || response.end())).listen(0, '127.0.0.1');
  server.on('connection', () => connections++);
  server.keepAliveTimeout = 0;
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as AddressInfo).port, connections: () => connections };
}

const serving = async (): Promise<number> => (await listening()).port;

it('gives the place of a connection that is closed back', async () => {
  const port = await serving();
  const { rawSockets, agent } = connection();
  const release = rawSockets.lease();
  const request = { method: 'GET', hostname: '127.0.0.1', port, path: '/', headers: ['host', 'x'] } as const;
  await rawSockets.exchange(request, { begin() {}, sink() {} }, undefined);
  release?.();
  expect(agent.maxSockets).toBe(4);
  await eventually(() => agent.maxSockets).toBe(5); // nobody has needed it for a while
});

it('keeps a connection while there is room for requests, and when another one fails', async () => {
  const { port, connections } = await listening();
  const { rawSockets, agent } = connection();
  const leases = [rawSockets.lease(), rawSockets.lease()];
  const request = { method: 'GET', hostname: '127.0.0.1', port, path: '/', headers: ['host', 'x'] } as const;
  const read = (path = '/', signal?: AbortSignal): Promise<void> =>
    rawSockets.exchange({ ...request, path }, { begin() {}, sink() {} }, signal);
  const giveUp = new AbortController();
  const failing = read('/slow', giveUp.signal);
  await read();
  giveUp.abort(new Error('gone'));
  await expect(failing).rejects.toThrow('gone');
  for (const release of leases) release?.();
  await eventually(() => agent.maxSockets).toBe(4);
  rawSockets.giveWay();
  rawSockets.lease();
  await read();
  expect(connections()).toBe(2);
});

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
  const { port, connections } = await listening();
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
  await Promise.all(leases.map(read));
  expect(connections()).toBe(5); // one of them is that of the slow request
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
