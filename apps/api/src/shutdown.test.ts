import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { buffer, text } from 'node:stream/consumers';

import postgres from 'postgres';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { beginExchange } from './exchange.ts';
import { drainOf } from './shutdown.ts';
import { onEachBackend } from './testing/on-each-backend.ts';
import { fileForm } from './testing/files.ts';
import { answerAfterAll, RawConnection } from './testing/raw-http.ts';
import { startApi } from './testing/start-api.ts';
import type { TestApi } from './testing/start-api.ts';
import { acme, admin, as } from './testing/tokens.ts';

describe('a server that is asked to stop', () => {
  let api: TestApi;
  let authorization: string;
  const data = randomBytes(1_000_000);

  beforeEach(async () => {
    api = await startApi();
    ({ authorization } = await admin());
  });
  afterEach(() => api.stop());

  const beginUpload = async (): Promise<RawConnection> => {
    const begun = once(api.server, 'request');
    const connection = await RawConnection.open(api.url);
    await connection.write(
      `PUT /api/v1/storage/objects/late HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Length: ${data.length}\r\n\r\n`,
    );
    await connection.write(data.subarray(0, 1000));
    await begun;
    return connection;
  };

  it('finishes what is under way, says that it stops, and takes nothing new', async () => {
    const idle = await RawConnection.open(api.url);
    const alive = await RawConnection.open(api.url);
    await idle.write('GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n');
    await idle.answer();
    const upload = await beginUpload();
    await alive.write('GET /health/rea');
    await new Promise((resolve) => setTimeout(resolve, 50));
    api.beginStopping();
    const drained = api.drain(10_000);
    expect(await idle.closesInTime(2000)).toBe(true);
    await expect(RawConnection.open(api.url)).rejects.toThrow('ECONNREFUSED');
    await alive.write('dy HTTP/1.1\r\nHost: a\r\n\r\n');
    const ready = await alive.answer().catch(() => undefined); // an incomplete request may be cut as idle
    if (ready !== undefined) expect(ready).toMatchObject({ status: 503, headers: { connection: 'close' } });
    await upload.write(data.subarray(1000));
    expect(await upload.answer()).toMatchObject({ status: 201, headers: { connection: 'close' } });
    expect(await upload.closesInTime(2000)).toBe(true);
    await drained;
  });

  it('answers whoever is connected already, though nobody has looked at the connection yet', async () => {
    const { port } = new URL(api.url);
    const socket = connect(Number(port), '127.0.0.1');
    const answered = text(socket);
    socket.write('GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n');
    await new Promise((resolve) => process.nextTick(resolve)); // by now the kernel knows of the connection
    api.beginStopping();
    const drained = api.drain(10_000);
    expect(await answered).toMatch(/^HTTP\/1\.1 200 /);
    await drained;
  });

  it('finishes an upload that asked with Expect: 100-continue', async () => {
    const begun = once(api.server, 'checkContinue');
    const upload = await RawConnection.open(api.url);
    await upload.write(
      `PUT /api/v1/storage/objects/expected HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Length: ${data.length}\r\nExpect: 100-continue\r\n\r\n`,
    );
    await upload.write(data.subarray(0, 1000));
    await begun;
    api.beginStopping();
    const drained = api.drain(10_000);
    await new Promise((resolve) => setTimeout(resolve, 1_500)); // longer than the server waits for heads
    await upload.write(data.subarray(1000));
    expect(await upload.answer()).toMatchObject({ status: 201 });
    await drained;
  });

  it.each([
    ['by the route', 'PUT /api/v1/storage/objects/late', 'Authorization: Bearer nonsense\r\n', 401],
    ['before there is one', 'PUT /local/coffer-uploads/late', '', 403],
  ])('tells whoever sends on why it is refused %s', async (_by, line, fields, status) => {
    api.beginStopping();
    const answer = await answerAfterAll(api.url, `${line} HTTP/1.1\r\nHost: a\r\n${fields}`);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer).toMatch(/^connection: close\r$/im);
  });

  it('does not wait for a request whose head never becomes whole', async () => {
    const stuck = await RawConnection.open(api.url);
    await stuck.write('GET /he');
    await new Promise((resolve) => setTimeout(resolve, 50));
    api.beginStopping();
    let isDrained = false;
    const drained = api.drain(20_000).then(() => {
      isDrained = true;
    });
    expect(await stuck.closesInTime(5000)).toBe(true);
    await drained;
    expect(isDrained).toBe(true);
  });

  it('waits only so long', async () => {
    const upload = await beginUpload();
    api.beginStopping();
    const started = performance.now();
    await api.drain(300);
    expect(performance.now() - started).toBeGreaterThanOrEqual(290);
    expect(await upload.closesInTime(2000)).toBe(true);
  });
});

it('does not wait where nothing is under way', async () => {
  vi.useFakeTimers({ toFake: ['Date'] }); // stops the clock, so that connections cut only after a second stay
  const server = createServer((incoming, outgoing) => {
    beginExchange(incoming, outgoing);
    outgoing.end('done');
  });
  const drain = drainOf(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const client = await RawConnection.open(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.answer();
  const begun = performance.now();
  await drain(20_000);
  vi.useRealTimers();
  expect(performance.now() - begun).toBeLessThan(5000);
  expect(await client.closesInTime(2000)).toBe(true);
});

it('answers whoever connects while it is busy with others', async () => {
  const server = createServer((incoming, outgoing) => {
    beginExchange(incoming, outgoing);
    outgoing.end('done');
  });
  const drain = drainOf(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  let turns = 0;
  let answered: Promise<string> | undefined;
  const work = (): void => {
    if (++turns === 2) {
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1'); // after the server has looked for connections
      socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      answered = text(socket);
    }
    for (const end = performance.now() + 20; performance.now() < end;);
    if (turns < 4) setImmediate(work);
  };
  setImmediate(work);
  await drain(10_000);
  expect(await answered).toMatch(/^HTTP\/1\.1 200 /);
});

it('answers a request that was on its way over an idle connection', async () => {
  vi.useFakeTimers({ toFake: ['Date'] }); // stops the clock, since idle connections stay only a second
  const server = createServer((incoming, outgoing) => {
    beginExchange(incoming, outgoing);
    outgoing.end('done');
  });
  const drain = drainOf(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const [client, idle] = [await RawConnection.open(url), await RawConnection.open(url)];
  for (const each of [client, idle]) {
    await each.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await each.answer();
  }
  const drained = drain(20_000, 1000);
  await new Promise((resolve) => setTimeout(resolve, 500)); // idle connections are looked for meanwhile
  await client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  expect(await client.answer()).toMatchObject({ status: 200, body: 'done' });
  vi.useRealTimers();
  await drained;
  expect(await idle.closesInTime(2000)).toBe(true);
});

/** A server that has answered with `size` bytes a client that reads none of them. */
async function answerUnread(size: number) {
  const server = createServer((incoming, outgoing) => {
    beginExchange(incoming, outgoing);
    outgoing.end(Buffer.alloc(size));
  });
  const drain = drainOf(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').pause();
  const received = once(server, 'request');
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const [, outgoing] = (await received) as [unknown, ServerResponse];
  return { server, drain, socket, outgoing };
}

it('leaves an answer alone that has been written, and not been sent yet', async () => {
  const size = 32 * 1_048_576; // more than the system buffers at once
  const { drain, socket } = await answerUnread(size);
  const drained = drain(10_000);
  await new Promise((resolve) => setTimeout(resolve, 500)); // idle connections are looked for meanwhile
  expect((await buffer(socket)).length).toBeGreaterThan(size);
  await drained;
});

it.runIf(process.platform === 'linux')('waits for the client to receive what the kernel still holds of an answer', async () => {
  const size = 2 * 1_048_576; // more than a client's kernel takes before the client reads, and less than the server's
  const { server, drain, socket, outgoing } = await answerUnread(size);
  if (!outgoing.writableFinished) await once(outgoing, 'finish');
  let isDrained = false;
  const closed = once(server, 'close');
  const drained = drain(20_000).then(() => (isDrained = true));
  await closed;
  await new Promise((resolve) => setTimeout(resolve, 500)); // nothing is left for Node to do
  expect(isDrained).toBe(false);
  expect((await buffer(socket)).length).toBeGreaterThan(size);
  await drained;
});

it.runIf(process.platform === 'linux')('does not wait for a client that reads nothing beyond the deadline', async () => {
  const { drain, socket } = await answerUnread(2 * 1_048_576);
  await drain(1000);
  socket.destroy();
});

it.each(['the deadline', 'a second signal'])('resets what %s cuts, so that no client waits for the rest', async (cut) => {
  const { server, drain, socket } = await answerUnread(32 * 1_048_576); // more than the system buffers at once
  const drained = drain(cut === 'the deadline' ? 300 : 20_000);
  if (cut === 'a second signal') server.closeAllConnections();
  await drained;
  await expect(buffer(socket).then(({ length }) => `ended after ${length} bytes`)).rejects.toThrow('ECONNRESET');
});

it.runIf(process.platform === 'linux')(
  'leaves to its client what the kernel still holds of a finished answer when a second signal cuts the others',
  async () => {
    const size = 2 * 1_048_576; // more than a client's kernel takes before the client reads, and less than the server's
    const { server, drain, socket, outgoing } = await answerUnread(size);
    if (!outgoing.writableFinished) await once(outgoing, 'finish');
    const drained = drain(20_000, 20_000); // meanwhile, the connection waits for another request
    await new Promise((resolve) => setTimeout(resolve, 500));
    server.closeAllConnections();
    await drained;
    expect((await buffer(socket)).length).toBeGreaterThan(size);
  },
);

it('answers a request whose head was half here, and whose client had no answer yet', async () => {
  vi.useFakeTimers({ toFake: ['Date'] }); // stops the clock, since the server waits only a second for heads
  const server = createServer((incoming, outgoing) => {
    beginExchange(incoming, outgoing);
    outgoing.end('done');
  });
  const drain = drainOf(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const connected = once(server, 'connection');
  const client = await RawConnection.open(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await client.write('GET / HT');
  await connected;
  const drained = drain(10_000);
  await new Promise((resolve) => setTimeout(resolve, 500)); // idle connections are looked for meanwhile
  await client.write('TP/1.1\r\nHost: a\r\n\r\n');
  expect(await client.answer()).toMatchObject({ status: 200, body: 'done' });
  vi.useRealTimers();
  await drained;
});

it.each(['done', 'cut'])('waits for a handler without its client as long as for the others, until it is %s', async (end) => {
  let finish = (): void => {};
  const server = createServer((incoming, outgoing) => {
    beginExchange(incoming, outgoing).handled = new Promise<void>((resolve) => (finish = resolve));
  });
  const drain = drainOf(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const received = once(server, 'request');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await received;
  client.destroy();
  await expect.poll(() => new Promise((resolve) => server.getConnections((_error, count) => resolve(count)))).toBe(0);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
  let isDrained = false;
  const closed = once(server, 'close');
  const drained = drain(20_000).then(() => (isDrained = true));
  await closed;
  await vi.advanceTimersByTimeAsync(15_000);
  expect(isDrained).toBe(false);
  if (end === 'done') finish();
  else server.closeAllConnections(); // as a second signal does
  await vi.advanceTimersByTimeAsync(10_000);
  await drained;
  vi.useRealTimers();
});

it('answers the requests that it has already received of one connection', async () => {
  const waiting: ServerResponse[] = [];
  const server = createServer((incoming, outgoing) => {
    beginExchange(incoming, outgoing);
    waiting.push(outgoing);
  });
  const drain = drainOf(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const received = text(client);
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(2));
  await expect.poll(() => waiting.length).toBe(2);
  const drained = drain(20_000);
  await expect.poll(() => server.listening).toBe(false);
  for (const outgoing of waiting) outgoing.end('answer');
  expect((await received).match(/answer/g)).toHaveLength(2);
  await drained;
});

it('does not wait for an answer queued behind another one when its client went away', async () => {
  let requests = 0;
  const server = createServer((incoming, outgoing) => {
    beginExchange(incoming, outgoing);
    // As in Node 22.
    const emit = (event: string, ...told: unknown[]): boolean =>
      event !== 'close' && Reflect.apply(ServerResponse.prototype.emit, outgoing, [event, ...told]);
    if (++requests > 1) Object.assign(outgoing, { emit });
  });
  const drain = drainOf(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(3));
  await expect.poll(() => requests).toBe(3);
  client.destroy();
  await expect.poll(() => new Promise((resolve) => server.getConnections((_error, count) => resolve(count)))).toBe(0);
  const begun = performance.now();
  await drain(20_000);
  expect(performance.now() - begun).toBeLessThan(15_000);
});

onEachBackend('a server that cuts what takes too long', ({ start }) => {
  it('leaves nothing of it once it has stopped', async () => {
    const api = await start({ STORAGE_AUTO_PROVISION: 'true' });
    const sql = postgres(api.databaseUrl, { max: 1, onnotice: () => {} });
    try {
      const { authorization } = await as('ann', { tenant: acme });
      await api.send('POST', '/api/v1/files/upload', { headers: { authorization }, form: fileForm('x', { name: 'a.txt' }) });
      const before = await api.stored();
      const upload = await RawConnection.open(api.url);
      await upload.write(
        `POST /api/v1/files/upload HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000000\r\n\r\n` +
          '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n',
      );
      await upload.write(randomBytes(20_000_000)); // more than one part of a multipart upload
      await expect.poll(async () => (await sql`select 1 from files`).length).toBe(2);
      await expect.poll(async () => (await api.stored()).length).toBeGreaterThan(before.length);
      api.beginStopping();
      await api.drain(100);
      expect(await sql`select status from files where status not in ('deleted', 'available')`).toEqual([]);
      await api.runtime.storage.shutdown();
      expect(api.log).toContainEqual(expect.objectContaining({ path: '/api/v1/files/upload', aborted: true }));
      expect(await api.stored()).toEqual(before);
    } finally {
      await sql.end();
      await api.stop();
    }
  }, 60_000);
});
