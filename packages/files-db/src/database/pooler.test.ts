import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { connectDatabase, TenantRepository } from '../index.ts';
import type { Database } from '../index.ts';
import { codeOf, openRig } from '../testing/support.ts';
import type { Rig } from '../testing/support.ts';

const sync = Buffer.from([83, 0, 0, 0, 4]);
const emptyQuery = Buffer.from([81, 0, 0, 0, 5, 0]);
const readyForQuery = Buffer.from([90, 0, 0, 0, 5]);
const timesIn = (bytes: Buffer, message: Buffer): number => bytes.toString('latin1').split(message.toString('latin1')).length - 1;

describe('a pooler that hands its connections on between transactions', () => {
  let rig: Rig;
  let pooler: Server;
  let database: Database;
  let early = 0;
  let alone = 0;
  const sockets = new Set<Socket>();

  beforeAll(async () => {
    rig = await openRig();
    const { hostname, port } = new URL(rig.url);
    pooler = createServer((client) => {
      const server = connect(Number(port), hostname);
      for (const socket of [client, server]) sockets.add(socket.on('error', () => {}));
      let waiting = 0; // without an answer yet
      client.on('data', (chunk) => {
        const bytes = chunk as Buffer;
        if (bytes.subarray(0, sync.length).equals(sync)) alone += 1;
        const ends = timesIn(bytes, sync) + timesIn(bytes, emptyQuery);
        if (waiting > 0 || ends > 1 || (ends === 1 && !bytes.subarray(-sync.length).equals(sync) && !bytes.equals(emptyQuery))) early += 1;
        waiting += ends;
        server.write(bytes);
      });
      server.on('data', (bytes) => {
        waiting = Math.max(waiting - timesIn(bytes as Buffer, readyForQuery), 0); // a connection begins with an answer to no sync
        client.write(bytes);
      });
      client.on('close', () => server.destroy());
    }).listen(0, '127.0.0.1');
    await once(pooler, 'listening');
    const url = new URL(rig.url);
    url.port = String((pooler.address() as AddressInfo).port);
    database = connectDatabase({ url: `${url.href}?prepare=false`, max: 1 });
  });
  afterAll(async () => {
    await database.close();
    for (const socket of sockets) socket.destroy();
    pooler.close();
    await rig.close();
  });

  it('gets nothing more on a connection until it has answered, whatever is called in the meantime', async () => {
    const tenants = new TenantRepository({ database, bucketNameFor: () => 'bucket', reservedBuckets: [] });
    const asked = Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? database.check() : tenants.ownerOf(`bucket-${n}`)));
    expect(new Set(await Promise.all(asked.map((each) => codeOf(each))))).toEqual(new Set(['resolved']));
    expect(early).toBe(0);
  });

  // PgBouncer 1.18 does not answer a Sync without anything before it.
  it('gets no Sync alone, nor anything behind a statement that cannot be sent', async () => {
    [early, alone] = [0, 0];
    const sendable = (n: number): Promise<string> => codeOf(Promise.resolve(database.sql`select ${n}::int`));
    const unsendable = (): Promise<string> => codeOf(Promise.resolve(database.sql`select ${undefined as unknown as string}`));
    expect(await Promise.all([unsendable(), sendable(1), unsendable(), sendable(2)])).toEqual([
      'UNDEFINED_VALUE',
      'resolved',
      'UNDEFINED_VALUE',
      'resolved',
    ]);
    expect({ early, alone }).toEqual({ early: 0, alone: 0 });
  });
});
