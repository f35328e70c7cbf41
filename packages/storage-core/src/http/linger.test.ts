import { once } from 'node:events';
import { createServer, IncomingMessage } from 'node:http';
import { connect, Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

import { afterEach, describe, expect, it, vi } from 'vitest';

import { lingerAtEnd, lingerOver } from './linger.ts';

describe('a client that sends on after it was answered', () => {
  afterEach(() => void vi.useRealTimers());

  it('is cut off after two seconds, and not before', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const incoming = new IncomingMessage(new Socket());
    lingerOver(incoming);
    vi.advanceTimersByTime(1999);
    expect(incoming.destroyed).toBe(false);
    vi.advanceTimersByTime(1);
    expect(incoming.destroyed).toBe(true);
  });

  it('is read until then, however much it sends', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const incoming = new IncomingMessage(new Socket());
    lingerOver(incoming);
    for (let mebibyte = 0; mebibyte < 64; mebibyte++) incoming.push(Buffer.alloc(1_048_576));
    await new Promise((resolve) => setImmediate(resolve));
    expect([incoming.destroyed, incoming.readableLength]).toEqual([false, 0]);
    vi.advanceTimersByTime(2000);
    expect(incoming.destroyed).toBe(true);
  });

  it('keeps its connection when all that it sent was there', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const incoming = Object.assign(new IncomingMessage(new Socket()), { complete: true });
    lingerOver(incoming);
    vi.advanceTimersByTime(10_000);
    expect(incoming.destroyed).toBe(false);
  });

  it('reads its answer where the connection ends with it, and is waited for until all is sent', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }); // nothing is cut off
    const closed = Promise.withResolvers<void>();
    const server = createServer((incoming, outgoing) => {
      incoming.socket.once('close', () => closed.resolve());
      outgoing.setHeader('connection', 'close');
      lingerAtEnd(incoming);
      outgoing.end('answer');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n');
    const answer = await buffer(client); // ends before everything is sent
    client.write(Buffer.alloc(2_000_000));
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*answer/);
    await closed.promise;
    client.destroy();
    server.close();
  });
});

it('a connection that stays open after lingerAtEnd for many requests closes like any other', async () => {
  const socket = new Socket();
  for (let index = 0; index < 20_000; index++) lingerAtEnd(Object.assign(new IncomingMessage(socket), { complete: true }));
  socket.destroySoon();
  await once(socket, 'close');
});
