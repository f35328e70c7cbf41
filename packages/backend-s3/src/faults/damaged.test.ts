import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

import { noContext, readAll } from '@coffer/storage-core';
import type { ObjectStream, StorageBackend } from '@coffer/storage-core';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';

import { faultBench, transports } from '../testing/fault-bench.ts';
import { tlsFront } from '../testing/tls-front.ts';

const options = { contentType: 'text/plain' };
const large = randomBytes(12 * 2 ** 20);

interface Damage {
  readonly endpoint: string;
  /** Once `after` bytes have passed on the way to the server or back, one bit is flipped. */
  next?: { readonly way: 'there' | 'back'; readonly after: number } | undefined;
}

/** Like failing memory in a box on the way: TCP does not notice it, but TLS does. */
async function damagedWayTo(port: number): Promise<Damage> {
  let passed = 0;
  const open = new Set<Socket>();
  const pass = (bytes: Buffer, way: 'there' | 'back'): Buffer => {
    if (damage.next?.way !== way) return bytes;
    passed += bytes.length;
    if (passed <= damage.next.after) return bytes;
    damage.next = undefined;
    bytes[bytes.length - 1]! ^= 1;
    return bytes;
  };
  const server = createServer((client) => {
    const behind = connect(port, '127.0.0.1').setNoDelay();
    client.setNoDelay().on('data', (bytes: Buffer) => behind.write(pass(bytes, 'there')));
    behind.on('data', (bytes: Buffer) => client.write(pass(bytes, 'back')));
    for (const [one, other] of [
      [client, behind],
      [behind, client],
    ] as const) {
      open.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  const damage: Damage = { endpoint: `https://127.0.0.1:${(server.address() as AddressInfo).port}` };
  return damage;
}

describe.each(transports)('when bytes are damaged below TLS (%s)', (transport) => {
  const bench = faultBench(transport);
  const put = (backend: StorageBackend): Promise<unknown> =>
    backend.put(bench.at('put'), { kind: 'buffer', data: Buffer.from('small') }, options, noContext);
  const head = (backend: StorageBackend): Promise<unknown> => backend.head(bench.at('large'), noContext);
  const get = async (backend: StorageBackend): Promise<Buffer> =>
    readAll(((await backend.get(bench.at('large'), {}, noContext)) as ObjectStream).body);

  beforeAll(() => bench.direct.put(bench.at('large'), { kind: 'buffer', data: large }, options, noContext));

  const ways = [
    ['of an answer', { way: 'back', after: 0 }, head],
    ['of a request', { way: 'there', after: 0 }, put],
    ['of a body', { way: 'back', after: 3_000_000 }, get],
  ] as const;

  it.each(ways)('those %s count as a failure of the connection, not of Coffer', async (_what, next, call) => {
    await using front = await tlsFront(bench.account.endpoint);
    const damage = await damagedWayTo(front.port);
    const backend = bench.through({ endpoint: damage.endpoint });
    await head(backend);
    damage.next = next;
    await expect(call(backend)).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
  });

  it.each(ways)('those %s are transferred again by a retry', async (_what, next, call) => {
    await using front = await tlsFront(bench.account.endpoint);
    const damage = await damagedWayTo(front.port);
    const backend = bench.through({ endpoint: damage.endpoint, maxRetries: 2 });
    await head(backend);
    damage.next = next;
    const result = await call(backend);
    expect(damage.next).toBeUndefined();
    if (call === get) expect((result as Buffer).equals(large)).toBe(true);
  });
});
