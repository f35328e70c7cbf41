import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { lingerAtEnd } from '@coffer/storage-core/http';

import { RawConnection } from '../testing/raw-http.ts';
import { pipelineQueue } from './pipeline-queue.ts';

describe('requests of one connection', () => {
  let server: Server;
  let connection: RawConnection;
  /** The socket at the server's end. */
  let socket: Socket;
  let waiting: ServerResponse[];
  let refused: number;
  const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

  beforeEach(async () => {
    waiting = [];
    refused = 0;
    const queue = pipelineQueue();
    server = createServer((incoming, outgoing) => queue.enqueue(incoming, outgoing, () => void waiting.push(outgoing)));
    server.on('clientError', (_error, broken: Socket) => {
      const refuse = (): void => {
        refused++;
        broken.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n');
      };
      if (!queue.deferRefusal(broken, refuse)) refuse();
    });
    server.once('connection', (connected: Socket) => (socket = connected));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    connection = await RawConnection.open(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
  afterEach(async () => {
    connection.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const answerNext = async (count: number): Promise<void> => {
    await expect.poll(() => waiting.length).toBe(count);
    waiting.at(-1)!.end(`${count}`);
    expect(await connection.answer()).toMatchObject({ status: 200, body: `${count}` });
  };

  it('are begun one after the other', async () => {
    await connection.write(get('/1') + get('/2') + get('/3'));
    for (const count of [1, 2, 3]) await answerNext(count);
    await connection.write(get('/4') + get('/5'));
    for (const count of [4, 5]) await answerNext(count);
  });

  it('are begun in their turn also where the body is still to come', async () => {
    await connection.write(`${get('/1')}PUT /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe`);
    for (const count of [1, 2]) await answerNext(count);
  });

  it('are not read without end while one is under way, and all are answered', async () => {
    const count = 1000;
    const request = get(`/${'x'.repeat(500)}`);
    let received = 0;
    server.on('request', () => received++);
    for (const before of [0, count]) {
      void connection.write(request.repeat(count));
      await expect.poll(() => waiting.length).toBe(before + 1);
      await expect.poll(() => socket.isPaused()).toBe(true);
      expect(socket.bytesRead).toBeLessThan(request.length * (before + count / 2));
      for (let answered = before; answered < before + count; answered++) {
        while (waiting.length === answered) await new Promise((resolve) => setImmediate(resolve));
        expect(received - answered).toBeLessThan(count / 4);
        waiting[answered]!.end();
      }
      await once(waiting.at(-1)!, 'close');
    }
  });

  it('are not read without end when Node resumes reading after a drained write', async () => {
    await connection.write(get('/1'));
    await expect.poll(() => waiting.length).toBe(1);
    const client = connection.socket;
    client.removeAllListeners('data').pause();
    const part = Buffer.alloc(50_331_648); // more than the system buffers for a client that does not read, 37 MB on Linux
    const answerPart = async (): Promise<void> => {
      waiting[0]!.write(part);
      await expect.poll(() => socket.writableNeedDrain).toBe(true);
    };
    await answerPart();
    client.write(get(`/${'x'.repeat(4000)}`).repeat(2000));
    await expect.poll(() => socket.isPaused()).toBe(true);
    for (let times = 0; times < 8; times++) {
      client.resume();
      await expect.poll(() => socket.writableNeedDrain).toBe(false);
      client.pause();
      await answerPart();
    }
    expect(socket.bytesRead).toBeLessThan(300_000);
  });

  it('are not queued by the thousand: a client that sends so many at once is cut', async () => {
    const shortest = 'GET / HTTP/1.1\r\nHost:\r\n\r\n';
    await connection.write(shortest.repeat(200));
    for (let count = 1; count <= 200; count++) {
      await expect.poll(() => waiting.length, { interval: 1 }).toBe(count);
      waiting.at(-1)!.end();
    }
    await once(waiting.at(-1)!, 'close');
    void connection.write(shortest.repeat(2000));
    await expect.poll(() => socket.destroyed).toBe(true);
    expect(waiting.length).toBe(201);
  });

  it('are not begun after an answer that closes it', async () => {
    await connection.write(get('/1') + get('/2'));
    await expect.poll(() => waiting.length).toBe(1);
    waiting[0]!.setHeader('connection', 'close');
    await answerNext(1);
    expect(await connection.closesInTime()).toBe(true);
    expect(waiting).toHaveLength(1);
  });

  it('are not begun after an answer that closes it before the body has arrived', async () => {
    server.prependListener('request', ({ method }, outgoing) => {
      if (method !== 'PUT') return;
      lingerAtEnd(outgoing.req);
      outgoing.setHeader('connection', 'close');
    });
    const { port } = server.address() as AddressInfo;
    const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const [accepted] = (await once(server, 'connection')) as [Socket];
    client.write('PUT /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe');
    await expect.poll(() => waiting.length).toBe(1);
    waiting[0]!.end();
    await once(client.resume(), 'end');
    client.end(`llo${get('/2')}`);
    await once(accepted, 'close');
    expect(waiting).toHaveLength(1);
  });

  it.each([
    ['behind them', [1, 2], 'none\r\n\r\n'],
    ['behind the only one', [1], 'none\r\n\r\n'],
    ['in the body of the last', [1, 2], 'PUT /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n'],
  ])('are answered before what is none is refused, %s', async (_where, counts, none) => {
    await connection.write(counts.map((count) => get(`/${count}`)).join('') + none);
    await expect.poll(() => waiting.length).toBe(1);
    await connection.write('more of it');
    for (const count of counts) await answerNext(count);
    expect(await connection.answer()).toMatchObject({ status: 400 });
    expect(await connection.closesInTime()).toBe(true);
    expect(waiting).toHaveLength(counts.length);
  });

  it('are answered, and nothing is refused, if a late one is complete before its turn', async () => {
    await connection.write(get('/1') + get('/2').slice(0, 9));
    await expect.poll(() => waiting.length).toBe(1);
    server.emit('clientError', new Error('a head takes too long'), socket);
    const read = socket.bytesRead;
    await connection.write(get('/2').slice(9));
    await expect.poll(() => socket.bytesRead).toBeGreaterThan(read);
    for (const count of [1, 2]) await answerNext(count);
    await connection.write(get('/3'));
    await answerNext(3);
  });

  it('add no more listeners for unparsable bytes, however many pieces arrive', async () => {
    await connection.write(`${get('/1')}none\r\n\r\n`);
    await expect.poll(() => waiting.length).toBe(1);
    const atEnd = (): number => waiting[0]!.listenerCount('close');
    const before = atEnd();
    for (let piece = 0; piece < 20; piece++) {
      const read = socket.bytesRead;
      await connection.write('more of it');
      await expect.poll(() => socket.bytesRead).toBeGreaterThan(read);
    }
    expect(atEnd()).toBe(before);
    await answerNext(1);
    expect(await connection.answer()).toMatchObject({ status: 400 });
  });

  it('are refused at once if they cannot be parsed and none is under way', async () => {
    await connection.write(get('/1'));
    await answerNext(1);
    const other = await RawConnection.open(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    for (const idle of [connection, other]) {
      await idle.write('none\r\n\r\n');
      expect(await idle.answer()).toMatchObject({ status: 400 });
    }
    other.destroy();
  });

  it('are refused at once if the body that is being read is malformed', async () => {
    await connection.write('PUT /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    await expect.poll(() => waiting.length).toBe(1);
    await connection.write('none\r\n');
    expect(await connection.answer()).toMatchObject({ status: 400 });
  });

  it.each([get('/3'), 'none\r\n\r\n'])(
    'are answered up to one that closes the connection; what follows it is ignored: %j',
    async (rest) => {
      await connection.write(`${get('/1')}${get('/2').replace('Host', 'Connection: close\r\nHost')}${rest}`);
      for (const count of [1, 2]) await answerNext(count);
      expect(await connection.closesInTime()).toBe(true);
      await expect(connection.answer()).rejects.toThrow('ended without an answer: ');
      expect(waiting).toHaveLength(2);
      expect(refused).toBe(0);
    },
  );

  it('are not begun after the client is gone', async () => {
    await connection.write(get('/1') + get('/2'));
    await expect.poll(() => waiting.length).toBe(1);
    connection.destroy();
    await once(waiting[0]!, 'close');
    await new Promise((resolve) => setImmediate(resolve));
    expect(waiting).toHaveLength(1);
  });
});
