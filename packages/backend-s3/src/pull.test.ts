import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { selfSigned } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import type { ByteSink, PullOptions, StorageBackend } from '@coffer/storage-core';
import { afterEach, describe, expect, it } from 'vitest';

import { s3Backend } from './backend.ts';
import type { S3BackendOptions } from './options.ts';
import { awsProfile } from './profile.ts';

const at = { bucket: 'bucket', key: 'key' };
const data = randomBytes(2_000_000);
const described = { etag: '"tag"', 'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT', 'content-type': 'video/mp4' };

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** Gives answers in turn, and repeats the last one. */
class ScriptedServer {
  readonly requests: IncomingMessage[] = [];
  readonly sockets = new Set<Socket>();
  mostSockets = 0;
  readonly #server: Server;

  constructor(server: Server, answers: readonly Answer[]) {
    this.#server = server;
    server.on('request', (request, response) => {
      this.requests.push(request);
      answers[Math.min(this.requests.length, answers.length) - 1]?.(request, response);
    });
    server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      // The close of a connection that made way for this one may be reported a moment later.
      setTimeout(() => (this.mostSockets = Math.max(this.mostSockets, this.sockets.size)), 10);
      socket.on('error', () => {}).once('close', () => this.sockets.delete(socket));
    });
  }

  async start(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.sockets) socket.destroy();
  }
}

const whole: Answer = (_request, response) => void response.writeHead(200, { ...described, 'content-length': data.length }).end(data);
/** HEAD reports the length that the answer to GET leaves out. */
const withHead =
  (answer: Answer): Answer =>
  (request, response) =>
    request.method === 'HEAD' ? whole(request, response) : answer(request, response);
const busy: Answer = (_request, response) =>
  void response.writeHead(503).end('<Error><Code>InternalError</Code><Message>Try again</Message></Error>');

describe('a pull', () => {
  const open: { stop(): void }[] = [];
  afterEach(() => {
    for (const one of open.splice(0)) one.stop();
  });

  async function serve(
    answers: readonly Answer[],
    options: S3BackendOptions = {},
  ): Promise<{ server: ScriptedServer; backend: StorageBackend }> {
    const server = new ScriptedServer(createServer(), answers);
    const backend = s3Backend(
      { endpoint: `http://127.0.0.1:${await server.start()}`, accessKey: 'who', secretKey: 'secret', ...options },
      awsProfile,
    );
    open.push(server, { stop: () => void backend.close() });
    return { server, backend };
  }

  async function read(backend: StorageBackend, options: PullOptions = {}): Promise<Buffer> {
    const chunks: Buffer[] = [];
    await backend.pull!(at, options, (chunk) => void chunks.push(Buffer.from(chunk)), noContext);
    return Buffer.concat(chunks);
  }

  it('is made again when the provider is busy, with the key in the signature', async () => {
    const { server, backend } = await serve([busy, busy, whole], { maxRetries: 2 });
    expect((await read(backend)).equals(data)).toBe(true);
    expect(server.requests.map((request) => request.headers.authorization?.slice(0, 32))).toEqual(
      Array(3).fill('AWS4-HMAC-SHA256 Credential=who/'),
    );
    const other = await serve([busy], { maxRetries: 1 });
    await expect(read(other.backend)).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(other.server.requests).toHaveLength(2);
  });

  it('that is cut off before its first byte is made again', async () => {
    const head: Answer = (_request, response) => {
      response.writeHead(200, { ...described, 'content-length': data.length });
      response.flushHeaders();
      setTimeout(() => response.destroy(), 20);
    };
    const { server, backend } = await serve([head, whole], { maxRetries: 1 });
    expect((await read(backend)).equals(data)).toBe(true);
    expect(server.requests).toHaveLength(2);
  });

  it('that is cut off fails, and is not made again', async () => {
    const cut: Answer = (_request, response) => {
      response.writeHead(200, { ...described, 'content-length': data.length });
      response.write(data.subarray(0, 1_000_000), () => response.destroy());
    };
    const { server, backend } = await serve([cut, whole]);
    let size = 0;
    const pulling = backend.pull!(at, {}, (chunk) => void (size += chunk.length), noContext);
    await expect(pulling).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
    expect([server.requests.length, size > 0, size < data.length]).toEqual([1, true, true]);
  });

  it.each<[string, (response: ServerResponse) => unknown]>([
    ['is cut short', (response) => setTimeout(() => response.destroy(), 20)],
    [
      'does not end',
      (response) => {
        const more = setInterval(() => response.write('x'.repeat(16_384)), 1);
        response.once('close', () => clearInterval(more));
      },
    ],
  ])('that is refused fails as soon as the refusal says why, even if its document %s', async (_what, go) => {
    const { server, backend } = await serve([
      (_request, response) => {
        response.writeHead(404, { 'content-length': 1e9 }).write('<Error><Code>NoSuchKey</Code>');
        go(response);
      },
    ]);
    await expect(read(backend)).rejects.toMatchObject({ code: 'file_not_found' });
    expect(server.requests).toHaveLength(1);
    await expect.poll(() => server.sockets.size).toBe(0);
  });

  it('fails with read_timeout if its bytes stop arriving', async () => {
    const stuck: Answer = (_request, response) => {
      response.writeHead(200, { ...described, 'content-length': data.length });
      response.write(data.subarray(0, 1000));
    };
    const { backend } = await serve([stuck], { timeout: 1 });
    await expect(read(backend)).rejects.toMatchObject({ code: 'read_timeout', retryable: true });
  });

  it('reads answers of any framing', async () => {
    const chunked: Answer = (_request, response) => {
      response.writeHead(200, described);
      response.write(data.subarray(0, 70_001));
      response.end(data.subarray(70_001));
    };
    const endless: Answer = (_request, { socket }) => {
      socket!.write('HTTP/1.1 200 OK\r\netag: "tag"\r\nconnection: close\r\n\r\n');
      socket!.end(data);
    };
    for (const answer of [chunked, endless, whole]) {
      const { backend } = await serve([withHead(answer)]);
      expect((await read(backend)).equals(data)).toBe(true);
    }
  });

  it('uses a connection again, and another where the provider has closed it', async () => {
    const { server, backend } = await serve([whole], { maxRetries: 0 });
    await read(backend);
    await read(backend);
    await delay(20);
    expect([server.requests.length, server.mostSockets, server.sockets.size]).toEqual([2, 1, 1]);
    for (const socket of server.sockets) socket.resetAndDestroy();
    expect((await read(backend)).equals(data)).toBe(true);
    const closing: Answer = (_request, response) => void response.writeHead(200, { ...described, connection: 'close' }).end(data);
    const other = await serve([withHead(closing)], { maxRetries: 0 });
    for (let turn = 0; turn < 3; turn++) expect((await read(other.backend)).equals(data)).toBe(true);
  });

  it('counts towards the limit of connections, and never waits for one', async () => {
    const slow: Answer = (request, response) => {
      if (request.method === 'GET') whole(request, response);
      else setTimeout(() => response.writeHead(200, { ...described, 'content-length': 5 }).end(), 20);
    };
    const pull = (backend: StorageBackend): Promise<unknown> => backend.pull!(at, {}, () => delay(5), noContext);
    const head = (backend: StorageBackend): Promise<unknown> => backend.head(at, noContext);
    for (const [first, second] of [
      [pull, head],
      [head, pull],
    ] as const) {
      const { server, backend } = await serve([slow], { maxPoolConnections: 5 });
      const many = (work: typeof pull, count: number): Promise<unknown>[] => Array.from({ length: count }, () => work(backend));
      const begun = many(first, 4);
      await expect.poll(() => server.requests.length).toBe(4);
      await Promise.all([...begun, ...many(second, 12)]);
      await Promise.all(many(head, 12));
      await expect.poll(() => server.sockets.size).toBeLessThanOrEqual(5);
      expect(server.mostSockets).toBeLessThanOrEqual(5);
    }
    const { server, backend } = await serve([slow], { maxPoolConnections: 1 });
    await Promise.all([pull(backend), pull(backend), head(backend), head(backend)]);
    expect(server.mostSockets).toBe(1);
  });

  it('closes its connection when it is given up', async () => {
    const { server, backend } = await serve([whole]);
    const cancel = new AbortController();
    const sink: ByteSink = () => cancel.abort(new Error('no more'));
    await expect(backend.pull!(at, {}, sink, { signal: cancel.signal })).rejects.toThrow('no more');
    await expect.poll(() => server.sockets.size).toBe(0);
  });

  it('takes a sink that returns something else than a promise, as in JavaScript', async () => {
    const { backend } = await serve([whole]);
    let received = 0;
    const sink = (chunk: Buffer): number => (received += chunk.length);
    await backend.pull!(at, {}, sink as unknown as ByteSink, noContext);
    expect(received).toBe(data.length);
  });

  it.each([new Error('no room'), 'no room', undefined])('rejects with what its sink throws at the last byte: %s', async (thrown) => {
    const { backend } = await serve([(_request, response) => void response.writeHead(200, { ...described, 'content-length': 1 }).end('x')]);
    const sink = (): never => {
      throw thrown;
    };
    const outcome = backend.pull!(at, {}, sink, noContext).then(
      () => 'resolved',
      (error: unknown) => error,
    );
    expect(await outcome).toBe(thrown);
  });

  it('refuses a server that ignores the range, before any byte', async () => {
    const { backend } = await serve([whole]);
    const sink: ByteSink = () => expect.unreachable();
    await expect(backend.pull!(at, { range: { start: 5, end: 10 } }, sink, noContext)).rejects.toMatchObject({ code: 'not_supported' });
    expect(await read(backend, { range: { start: 0 } })).toHaveLength(data.length);
  });

  it('sends no header that holds another', async () => {
    const { server, backend } = await serve([whole]);
    await expect(read(backend, { ifMatch: 'x"\r\nx-evil: 1' })).rejects.toMatchObject({ code: 'precondition_failed' });
    expect(server.requests.map(({ headers }) => [headers['if-match'], headers['x-evil']])).toEqual([[undefined, undefined]]); // a HEAD
  });

  it('uses TLS, and verifies the certificate', async () => {
    const server = new ScriptedServer(createTlsServer(selfSigned()), [whole]);
    open.push(server);
    const endpoint = `https://127.0.0.1:${await server.start()}`;
    for (const verifySsl of [false, true]) {
      const backend = s3Backend({ endpoint, accessKey: 'who', secretKey: 'secret', verifySsl }, awsProfile);
      open.push({ stop: () => void backend.close() });
      if (verifySsl) await expect(read(backend)).rejects.toMatchObject({ code: 'storage_unavailable', retryable: false });
      else for (let turn = 0; turn < 2; turn++) expect((await read(backend)).equals(data)).toBe(true);
    }
  });
});
