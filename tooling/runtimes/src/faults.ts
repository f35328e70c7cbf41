import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';

import { localBackend } from '@coffer/backend-local';
import { s3Backend } from '@coffer/backend-s3';
import { createRuntime, parseConfig } from '@coffer/runtime';
import { memoryBackend, noContext, StorageService } from '@coffer/storage-core';

const at = { bucket: 'bucket', key: 'key' };

void describe('a provider that takes connections, and nothing else', () => {
  const connections = new Set<Socket>();
  const server = createServer({ pauseOnConnect: true }, (socket) => connections.add(socket.on('error', () => {})));
  after(() => {
    for (const connection of connections) connection.destroy();
    server.close();
  });

  for (const [what, scheme, size, code] of [
    ['does not shake hands', 'https', 10, 'connect_timeout'],
    ['does not answer', 'http', 10, 'read_timeout'],
    ['does not read on', 'http', 7 * 2 ** 20, 'read_timeout'],
  ] as const) {
    void it(`is given up when it ${what}`, async () => {
      if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening');
      const endpoint = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const backend = s3Backend({ endpoint, accessKey: 'who', secretKey: 'secret', maxRetries: 0, timeout: 0.5 });
      const body = { kind: 'buffer', data: Buffer.alloc(size) } as const;
      await assert.rejects(backend.put(at, body, { contentType: 'a/b' }, noContext), { code });
      await backend.close?.();
    });
  }
});

void describe('a request on a kept connection that is closed without an answer', () => {
  for (const transport of ['lean', 'sdk'] as const) {
    void it(`is made once where nothing is made again (${transport})`, async () => {
      let requests = 0;
      const server = createServer((socket) => {
        socket
          .on('error', () => {})
          .on('data', () => {
            requests++;
            if (requests === 1)
              socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: "e"\r\nLast-Modified: Sat, 28 Nov 2026 09:00:00 GMT\r\n\r\n');
            // Part of an answer: not a connection that was closed before the request arrived.
            else socket.end('HTTP/1.1 2');
          });
      });
      await once(server.listen(0, '127.0.0.1'), 'listening');
      const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const backend = s3Backend({ endpoint, accessKey: 'who', secretKey: 'secret', maxRetries: 0, transport });
      await backend.head(at, noContext);
      await assert.rejects(backend.head(at, noContext), { code: 'storage_unavailable' });
      assert.equal(requests, 2);
      await backend.close?.();
      server.close();
    });
  }
});

void describe('a web stream', () => {
  const storage = new StorageService({ backend: memoryBackend({ buckets: ['bucket'] }), defaultBucket: 'bucket' });
  const stream = (): ReadableStream<Uint8Array> =>
    new ReadableStream({
      start(controller) {
        for (const chunk of ['be', 'gun']) controller.enqueue(Buffer.from(chunk));
        controller.close();
      },
    });

  void it('that is over is refused, and would be an empty object', async () => {
    const [iterated, cancelled] = [stream(), stream()];
    for await (const _ of iterated);
    await cancelled.cancel();
    for (const body of [iterated, cancelled]) await assert.rejects(storage.uploadFile({ key: 'over', body }), { code: 'invalid_argument' });
    assert.equal(await storage.fileExists('over'), false);
  });

  void it('that somebody has begun is read on', async () => {
    const body = stream();
    const reader = body.getReader();
    await reader.read();
    reader.releaseLock();
    await storage.uploadFile({ key: 'begun', body });
    assert.equal(String(await storage.downloadFile('begun')), 'gun');
  });
});

void it('temporary files of a process before this one, which had its number, go when the disk is opened', async () => {
  const root = await mkdtemp(join(tmpdir(), 'coffer-runtimes-'));
  const left = join(root, '.tmp', `${hostname().replaceAll(/[^A-Za-z0-9.-]/g, '_')}-${process.pid}-0-0123456789ab`);
  await mkdir(left, { recursive: true });
  await writeFile(join(left, '0'), 'half');
  const backend = localBackend({ root });
  await backend.check(noContext);
  await backend.close();
  assert.deepEqual(await readdir(join(root, '.tmp')), []);
  await rm(root, { recursive: true });
});

void it('a database at whose socket nobody listens is unavailable', async () => {
  const root = await mkdtemp(join(tmpdir(), 'coffer-runtimes-'));
  const env = { COFFER_DATA_DIR: root, DATABASE_URL: `postgres://who@${encodeURIComponent(root)}/database` };
  await assert.rejects(createRuntime(parseConfig(env), { checksTokens: false }), /database/i);
  await rm(root, { recursive: true });
});

void it('runtimes that start together on one data directory share its database', async () => {
  const root = await mkdtemp(join(tmpdir(), 'coffer-runtimes-'));
  const start = async () => createRuntime(parseConfig({ COFFER_DATA_DIR: root }), { checksTokens: false });
  const both = await Promise.all([start(), start()]);
  for (const { close } of both) await close();
  await rm(root, { recursive: true });
});
