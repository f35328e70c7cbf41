import { randomBytes } from 'node:crypto';
import { getEventListeners, once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';

import { selfSigned } from '@coffer/fixtures';
import type { ByteSink } from '@coffer/storage-core';
import { afterEach, describe, expect, it } from 'vitest';

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

// TLS decrypts several records at once and passes on each of them, even if it was told to stop.
it.each(['at once', 'as fast as a disk', 'slowly, now and then'])(
  'passes each byte on once over TLS, to a sink that takes them %s',
  async (how) => {
    const data = randomBytes(2_000_000);
    const server = createTlsServer(selfSigned(), (socket) => {
      socket.on('error', () => {});
      socket.on('data', () =>
        socket.write(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${data.length}\r\n\r\n`), data])),
      );
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const socket = new RawSocket({ hostname: '127.0.0.1', port, isTls: true, verifySsl: false, timeout: 5000 }, () => {});
    for (let exchange = 0; exchange < 3; exchange++) {
      const got: Buffer[] = [];
      let isBusy = false;
      const later = async (chunk: Buffer): Promise<void> => {
        expect(isBusy).toBe(false);
        isBusy = true;
        await (how.startsWith('slowly') ? delay(got.length % 40 === 0 ? 20 : 0) : turn());
        got.push(Buffer.from(chunk));
        isBusy = false;
      };
      const sink = how === 'at once' ? (chunk: Buffer): void => void got.push(Buffer.from(chunk)) : later;
      await socket.exchange('GET / HTTP/1.1\r\n\r\n', { begin() {}, sink }, undefined);
      expect(Buffer.concat(got).equals(data)).toBe(true);
    }
    socket.close();
    server.close();
  },
);

describe('a connection of pulls', () => {
  const open: (() => unknown)[] = [];
  afterEach(() => {
    for (const close of open.splice(0)) close();
  });

  async function connected(answer: (socket: Socket) => unknown, { timeout = 5000, isTls = false } = {}) {
    const serve = (socket: Socket): void => {
      socket.on('error', () => {});
      socket.on('data', () => answer(socket));
      open.push(() => socket.destroy());
    };
    const server = isTls ? createTlsServer(selfSigned(), serve) : createServer(serve);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const closed = Promise.withResolvers<void>();
    const { port } = server.address() as AddressInfo;
    const socket = new RawSocket({ hostname: '127.0.0.1', port, isTls, verifySsl: false, timeout }, closed.resolve);
    open.push(
      () => socket.close(),
      () => server.close(),
    );
    const ask = (sink: ByteSink, signal?: AbortSignal) => socket.exchange('GET / HTTP/1.1\r\n\r\n', { begin() {}, sink }, signal);
    return { socket, ask, closed: closed.promise };
  }
  const whole = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

  it('is closed when unrequested bytes arrive', async () => {
    let writeAgain = (): void => {};
    const { socket, ask, closed } = await connected((peer) => {
      peer.write(whole);
      writeAgain = () => void peer.write(whole);
    });
    await ask(() => {});
    expect(socket.isFree).toBe(true);
    writeAgain();
    await Promise.race([closed, delay(500)]); // before it would be closed for being idle
    expect(socket.isFree).toBe(false);
  });

  it('serves no other request where the server says that it closes it, whether or not it does', async () => {
    const { socket, ask } = await connected((peer) => peer.write(whole.replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n')));
    await ask(() => {});
    expect(socket.isFree).toBe(false);
  });

  it.each([false, true])('passes on everything that arrived before it ended, even to a slow sink (TLS: %s)', async (isTls) => {
    const { ask } = await connected((peer) => peer.end(`HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(1000)}`), { isTls });
    let size = 0;
    await ask(async (chunk) => {
      await delay(50);
      size += chunk.length;
    });
    expect(size).toBe(1000);
  });

  it('ends its request when it is closed from here', async () => {
    const { socket, ask } = await connected(() => socket.close());
    await expect(ask(() => {})).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  it('ends its request when it is closed from here while its sink is busy', async () => {
    const { socket, ask, closed } = await connected((peer) => peer.write(whole.replace('length: 2', 'length: 3')));
    const sink = async (): Promise<void> => {
      socket.close();
      await closed;
    };
    await expect(ask(sink)).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  it.each([
    ['chunks', false],
    ['records of TLS', true],
  ])('passes nothing on once it was given up, of several %s either', async (_what, isTls) => {
    const size = isTls ? 60_000 : 1;
    const chunk = `${size.toString(16)}\r\n${'a'.repeat(size)}\r\n`;
    const { ask } = await connected(
      (peer) => peer.write(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunk}${chunk}0\r\n\r\n`),
      {
        isTls,
      },
    );
    const stop = new AbortController();
    let taken = 0;
    const sink = async (): Promise<void> => {
      taken++;
      await delay(20);
      stop.abort(new Error('enough'));
    };
    await expect(ask(sink, stop.signal)).rejects.toThrow('enough');
    await turn();
    expect(taken).toBe(1);
  });

  it.each([
    ['TLS is not there in time', false, 'could not establish a connection in time'],
    ['TLS is there, and no answer comes', true, 'no answer in time'],
  ])('tells what took too long: %s', async (_what, speaksTls, message) => {
    const never = (socket: Socket): void =>
      void open.push(() =>
        socket
          .on('error', () => {})
          .resume()
          .destroy(),
      );
    const server = speaksTls ? createTlsServer(selfSigned(), never) : createServer(never);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    open.push(() => server.close());
    const { port } = server.address() as AddressInfo;
    const socket = new RawSocket({ hostname: '127.0.0.1', port, isTls: true, verifySsl: false, timeout: 1000 }, () => {});
    const asked = socket.exchange('GET / HTTP/1.1\r\n\r\n', { begin() {}, sink() {} }, undefined);
    await expect(asked).rejects.toMatchObject({ name: 'TimeoutError', message });
  });

  it.each([
    ['nobody listens', false, 'ECONNREFUSED'],
    ['the certificate is not trusted', true, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  ])('tells why there is none: %s', async (_why, isThere, code) => {
    const server = createTlsServer(selfSigned()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    open.push(() => server.close());
    if (!isThere) await new Promise((resolve) => server.close(resolve));
    const socket = new RawSocket({ hostname: '127.0.0.1', port, isTls: true, verifySsl: true, timeout: 5000 }, () => {});
    const asked = socket.exchange('GET / HTTP/1.1\r\n\r\n', { begin() {}, sink() {} }, undefined);
    await expect(asked).rejects.toMatchObject({ code });
  });

  it('does not time out over a sink that takes its time', async () => {
    const { ask } = await connected((peer) => peer.write(whole), { timeout: 200 });
    let text = '';
    await ask(async (chunk) => {
      await delay(700);
      text += chunk.toString();
    });
    expect(text).toBe('ok');
  });

  it('keeps the process alive only while it serves a request', async () => {
    const held = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
    await expect.poll(held).toBe(0); // from earlier tests
    const { socket, ask } = await connected((peer) => peer.unref().write(whole));
    await ask(() => {});
    expect([socket.isFree, held()]).toEqual([true, 0]);
    const next = ask(() => {});
    expect(held()).toBe(1);
    await next;
    expect(held()).toBe(0);
  });

  it('leaves no listener on the signal of a request that is over', async () => {
    const { ask } = await connected((peer) => peer.write(whole));
    const { signal } = new AbortController();
    for (let turn = 0; turn < 3; turn++) await ask(() => {}, signal);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});
