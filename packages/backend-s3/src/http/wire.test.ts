import { Agent } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

import { afterEach, describe, expect, it, onTestFinished } from 'vitest';

import { exchange } from './exchange.ts';
import { poolOver } from './pool.ts';
import { KeptWires } from './wire.ts';

const empty = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';

const open: (() => unknown)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

/** A server that gives this answer to each request, and a client with `maxSockets` sockets to it. */
async function between(answer: (socket: Socket, asked: number, chunk: Buffer) => unknown, { timeout = 20_000, maxSockets = 2 } = {}) {
  const sockets = new Set<Socket>();
  let connections = 0;
  let asked = 0;
  const server = createServer((socket) => {
    connections++;
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => answer(socket, ++asked, chunk));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const agent = poolOver(Agent, { keepAlive: true, maxSockets, timeout: timeout + 1 });
  const wires = new KeptWires(agent);
  open.push(
    () => agent.destroy(),
    () => server.close(),
    () => sockets.forEach((socket) => socket.destroy()),
  );
  return {
    agent,
    sockets,
    connections: () => connections,
    ask: (hostname = '127.0.0.1', body?: Uint8Array) =>
      exchange(
        { method: 'PUT', hostname, port, path: '/', headers: ['host', hostname], body },
        { agent, wires, timeout, signal: undefined },
      ),
  };
}

describe('a connection between two requests', () => {
  it('serves the next one', async () => {
    const { ask, connections } = await between((socket) => socket.write(empty));
    for (let turn = 0; turn < 3; turn++) await ask();
    expect(connections()).toBe(1);
  });

  it('is not used again where the server says that it closes it, whether or not it does', async () => {
    const { ask, connections, sockets } = await between((socket) =>
      socket.write(empty.replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n')),
    );
    for (let turn = 0; turn < 3; turn++) await ask();
    expect(connections()).toBe(3);
    await expect.poll(() => sockets.size).toBe(0);
  });

  it('is not used for longer than the server says', async () => {
    // The agent subtracts a second for the round trip.
    const { ask, connections } = await between((socket) => socket.write(empty.replace('\r\n\r\n', '\r\nkeep-alive: timeout=1\r\n\r\n')));
    for (let turn = 0; turn < 2; turn++) await ask();
    expect(connections()).toBe(2);
  });

  it('has no listener of the requests that it has served', async () => {
    const { ask, agent } = await between((socket) => socket.write(empty.replace('\r\n\r\n', '\r\nkeep-alive: timeout=9\r\n\r\n')));
    const listeners = () => {
      const [socket] = Object.values(agent.freeSockets).flat();
      return socket!.eventNames().map((name) => [name, socket!.listenerCount(name)]);
    };
    await ask();
    const before = listeners();
    for (let turn = 0; turn < 3; turn++) await ask();
    expect(listeners()).toEqual(before);
  });

  it('is closed when unrequested bytes arrive', async () => {
    const { ask, connections, sockets } = await between((socket, asked) => {
      socket.write(empty);
      if (asked === 1) setTimeout(() => socket.write(empty.replace('200', '404')), 20);
    });
    await ask();
    await expect.poll(() => sockets.size).toBe(0);
    expect(await ask()).toMatchObject({ status: 200 });
    expect(connections()).toBe(2);
  });

  it('is closed when it was unused for long', async () => {
    const { ask, sockets } = await between((socket) => socket.write(empty), { timeout: 200 });
    await ask();
    expect(sockets.size).toBe(1);
    await expect.poll(() => sockets.size).toBe(0);
  });

  it('does not keep the process alive, but the next request does', async () => {
    const held = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
    await expect.poll(held).toBe(0); // from earlier tests
    const { ask, sockets, connections } = await between((socket) => socket.unref().write(empty));
    await ask();
    expect([sockets.size, held()]).toEqual([1, 0]);
    const next = ask();
    expect(held()).toBe(1);
    await next;
    expect([connections(), held()]).toEqual([1, 0]);
  });

  it('goes back to the pool when the next request goes elsewhere', async () => {
    const { ask, connections } = await between((socket) => socket.write(empty), { timeout: 2000, maxSockets: 1 });
    for (const host of ['127.0.0.1', 'localhost', '127.0.0.1', 'localhost']) expect(await ask(host)).toMatchObject({ status: 200 });
    expect(connections()).toBe(4); // each to its own host
  });
});

it('a request keeps its bytes while the system has not taken all of them, whatever others send meanwhile', async () => {
  const [body, other] = ['a', 'b'].map((letter) => Buffer.from(`${letter.repeat(60_000)}.`)) as [Buffer, Buffer];
  const received: Buffer[] = [];
  let slow: Socket | undefined;
  const { agent, ask } = await between((socket, _asked, chunk) => {
    slow ??= socket;
    if (socket === slow) received.push(chunk);
    else if (chunk.toString().endsWith('.')) socket.write(empty);
  });
  const isWaiting = (): boolean =>
    Object.values(agent.sockets).some((sockets) => sockets!.some(({ connecting, writableLength }) => !connecting && writableLength > 0));
  let asked = ask('127.0.0.1', body);
  let sent = 1;
  await expect.poll(() => slow).toBeDefined();
  slow!.pause();
  // Each is answered without being read, until the system holds as much as it can.
  for (; !isWaiting(); sent++) {
    slow!.write(empty);
    await asked;
    asked = ask('127.0.0.1', body);
  }
  for (let turn = 0; turn < 2; turn++) await ask('127.0.0.1', other); // over a new connection, and over a kept one
  slow!.resume();
  const text = (): string => Buffer.concat(received).toString();
  const [head] = /^.*?\r\n\r\n/s.exec(text())!;
  const expected = `${head}${body.toString()}`.repeat(sent);
  await expect.poll(() => text().length).toBe(expected.length);
  slow!.write(empty);
  await asked;
  expect(text() === expected).toBe(true);
});

describe('a request that has waited for its connection', () => {
  it.each([
    ['leaves it to the next one', '127.0.0.1', 1],
    ['harms nobody if it fails at once', '255.255.255.255', 2],
  ])('and is over by then %s', async (_what, host, connected) => {
    const uncaught: unknown[] = [];
    const note = (error: unknown): void => void uncaught.push(error);
    process.on('uncaughtExceptionMonitor', note);
    onTestFinished(() => void process.off('uncaughtExceptionMonitor', note));
    const { ask, connections } = await between((socket) => socket.write(empty), { maxSockets: 1 });
    const first = ask();
    const body = new Uint8Array(10);
    const second = ask(host, body);
    structuredClone(body.buffer, { transfer: [body.buffer] });
    await first;
    await expect(second).rejects.toThrow('10 were announced');
    await ask();
    expect([connections(), uncaught]).toEqual([connected, []]);
  });

  it('may take as long as something comes of its answer', async () => {
    const { ask } = await between(
      async (socket, asked) => {
        if (asked === 1) return void setTimeout(() => socket.write(empty), 100);
        for (const byte of 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n') {
          socket.write(byte);
          await delay(20);
        }
      },
      { timeout: 400, maxSockets: 1 },
    );
    expect(await Promise.all([ask(), ask()])).toHaveLength(2);
  });
});
