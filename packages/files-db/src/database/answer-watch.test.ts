import { once } from 'node:events';
import { createServer, Socket } from 'node:net';
import type { AddressInfo, Server } from 'node:net';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { AnswerWatch } from './answer-watch.ts';

describe('a watch for answers within ten seconds', () => {
  let now = 0;
  let server: Server;
  let told: Promise<Socket>;
  let watch: AnswerWatch;
  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    now = 1_000_000;
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    const accepted = Promise.withResolvers<Socket>();
    told = accepted.promise;
    server = createServer((socket) => accepted.resolve(socket.on('error', () => {}))).listen(0, '127.0.0.1');
    await once(server, 'listening');
    watch = new AnswerWatch(10);
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
    server.close();
  });

  async function connected(): Promise<Socket> {
    const socket = watch.open({ path: false, host: ['127.0.0.1'], port: [(server.address() as AddressInfo).port] });
    await once(socket, 'connect');
    return socket;
  }
  /** Lets `seconds` pass, and then a look happen. */
  function pass(seconds: number): void {
    now += seconds * 1000;
    vi.advanceTimersByTime(1000);
  }
  function passOneByOne(seconds: number): void {
    for (let second = 0; second < seconds; second++) pass(1);
  }
  function expectEndedNext(socket: Socket): void {
    expect(socket.destroyed).toBe(false);
    socket.on('error', () => {});
    pass(1);
    expect(socket.destroyed).toBe(true);
  }
  const forEver = new Promise<never>(() => {});

  it('ends a connection on which nothing comes while a statement runs', async () => {
    const sockets = [await connected(), await connected()];
    expect(vi.getTimerCount()).toBe(1);
    void watch.during(forEver);
    passOneByOne(9);
    expect(sockets.map(({ destroyed }) => destroyed)).toEqual([false, false]);
    const failed = Promise.all(sockets.map((socket) => once(socket, 'error')));
    pass(1);
    expect(sockets.map(({ destroyed }) => destroyed)).toEqual([true, true]);
    expect(await failed).toMatchObject([[{ code: 'ETIMEDOUT' }], [{ code: 'ETIMEDOUT' }]]);
    pass(1);
    expect(vi.getTimerCount()).toBe(0);
    const next = await connected();
    next.on('error', () => {});
    passOneByOne(10);
    expect(next.destroyed).toBe(true);
  });

  it.each([
    ['was answered', () => Promise.resolve()],
    ['failed', () => Promise.reject(new Error('no'))],
  ])('keeps a connection that is idle after its statement %s', async (_how, statement) => {
    const socket = await connected();
    await watch.during(statement()).catch(() => {});
    passOneByOne(20);
    expect(socket.destroyed).toBe(false);
    socket.destroy();
  });

  it('gives a statement all of the time, however long its connection lay idle', async () => {
    const socket = await connected();
    passOneByOne(20);
    void watch.during(forEver);
    passOneByOne(9);
    expectEndedNext(socket);
  });

  it('waits on while something comes', async () => {
    const socket = await connected();
    void watch.during(forEver);
    passOneByOne(9);
    (await told).write('something');
    socket.resume();
    await expect.poll(() => socket.bytesRead).toBe(9);
    passOneByOne(10);
    expectEndedNext(socket);
  });

  it('opens connections that send at once, without waiting for earlier data to be acknowledged', async () => {
    const noDelay = vi.spyOn(Socket.prototype, 'setNoDelay');
    const client = await connected();
    expect(noDelay.mock.contexts).toEqual([client]);
    expect(noDelay).toHaveBeenCalledWith(true);
    client.destroy();
  });

  it('gives the full time to a connection that is opened while a statement waits on another one', async () => {
    const first = await connected();
    first.on('error', () => {});
    void watch.during(forEver);
    passOneByOne(9);
    const second = await connected();
    pass(1);
    expect([first, second].map(({ destroyed }) => destroyed)).toEqual([true, false]);
    passOneByOne(8);
    expectEndedNext(second);
  });

  it.each([60, 6])('ends no connection after this process itself was blocked for %i seconds', async (seconds) => {
    const socket = await connected();
    void watch.during(forEver);
    pass(seconds);
    passOneByOne(9);
    expectEndedNext(socket);
  });
});
