import { createHash } from 'node:crypto';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest';

import { onEachBackend } from './testing/on-each-backend.ts';
import type { TestApi } from './testing/start-api.ts';
import { acme, admin, as } from './testing/tokens.ts';

const GiB = 1024 ** 3;
const block = Buffer.alloc(1_048_576, 'Coffer holds what it is given. ');

/** A GiB that never exists as a whole; each block contains its number. */
function* generated(): Generator<Buffer> {
  for (let n = 0; n < GiB / block.length; n++) {
    const bytes = Buffer.from(block);
    bytes.writeUInt32BE(n, 0);
    yield bytes;
  }
}

async function hashOf(stream: AsyncIterable<Buffer>): Promise<{ sha256: string; size: number }> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    hash.update(chunk);
  }
  return { sha256: hash.digest('hex'), size };
}

onEachBackend('a file of 1 GiB', ({ start, abilities }) => {
  let api: TestApi;
  let expected: { sha256: string; size: number };

  beforeAll(async () => {
    api = await start({ STORAGE_ENABLE_MULTI_TENANCY: 'true' });
    expected = await hashOf(Readable.from(generated()) as AsyncIterable<Buffer>);
  });
  afterAll(() => api.stop());

  const stream = async (method: string, path: string, headers: Record<string, string>, body?: Readable): Promise<IncomingMessage> => {
    const { hostname, port } = new URL(api.url);
    const sent = request({ hostname, port, method, path, headers, agent: false });
    const answered = new Promise<IncomingMessage>((resolve, reject) => sent.once('response', resolve).once('error', reject));
    if (body === undefined) sent.end();
    else await pipeline(body, sent);
    return answered;
  };
  const jsonOf = async (answer: IncomingMessage): Promise<{ id: string; size_bytes: number; sha256: string; storage_key: string }> =>
    JSON.parse(Buffer.concat(await answer.toArray()).toString()) as never;

  it('goes up as a form and comes down, and the process that carries it stays small', async () => {
    onTestFailed(
      () =>
        void process.stderr.write(
          `${api.log
            .slice(-20)
            .map((line) => JSON.stringify(line))
            .join('\n')}\n`,
        ),
    );
    const ann = await as('ann', { tenant: acme });
    const before = process.memoryUsage.rss();
    let peak = before;
    const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 20);
    const form = function* (): Generator<Buffer> {
      yield Buffer.from(
        '--b\r\nContent-Disposition: form-data; name="file"; filename="big.bin"\r\nContent-Type: application/x-big\r\n\r\n',
      );
      yield* generated();
      yield Buffer.from('\r\n--b--\r\n');
    };
    const created = await stream(
      'POST',
      '/api/v1/files/upload',
      { ...ann, 'content-type': 'multipart/form-data; boundary=b' },
      Readable.from(form()),
    );
    expect(created.statusCode).toBe(201);
    const file = await jsonOf(created);
    expect(file).toMatchObject({ size_bytes: GiB, sha256: abilities.hashes ? expected.sha256 : null });
    expect(await hashOf(await stream('GET', `/api/v1/files/${file.id}/download`, ann))).toEqual(expected);
    clearInterval(watch);
    // Server and client share one process; a body buffered anywhere would take four times as much.
    expect(peak - before).toBeLessThan(256 * 1024 * 1024);
    expect(await api.send('DELETE', `/api/v1/files/${file.id}`, { headers: ann })).toMatchObject({ status: 204 });
  }, 120_000);

  it('goes up raw', async () => {
    const headers = await admin();
    const created = await stream(
      'PUT',
      '/api/v1/storage/objects/big',
      { ...headers, 'content-length': String(GiB) },
      Readable.from(generated()),
    );
    expect(await jsonOf(created)).toMatchObject({ size_bytes: GiB });
    const range = await stream('GET', '/api/v1/storage/objects/big', { ...headers, range: `bytes=${GiB - 10}-` });
    expect(range.headers['content-range']).toBe(`bytes ${GiB - 10}-${GiB - 1}/${GiB}`);
    range.resume();
    expect(await api.send('DELETE', '/api/v1/storage/objects/big', { headers })).toMatchObject({ status: 204 });
  }, 120_000);
});
