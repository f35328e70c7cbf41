import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';

import { testDatabase } from '@coffer/fixtures';
import type { TestDatabase } from '@coffer/fixtures';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { postgres } from './driver.ts';

/** What a server that is shut down says to a connection: FATAL, 57P01. */
const shutdown = ((): Buffer => {
  const fields = Buffer.from('SFATAL\0C57P01\0Mterminating connection due to administrator command\0\0');
  const head = Buffer.from('E\0\0\0\0');
  head.writeUInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
})();

// Coffer's own pools never ask, other pools do, before the first statement of a connection: docs/adr/0015-postgres-js-is-patched.md.
describe('a pool that asks the server for its types', () => {
  let database: TestDatabase;
  let proxy: Server;
  let url: URL;
  let fault: 'end' | 'reset' | 'shutdown' | undefined;
  let asked = 0;

  beforeAll(async () => {
    database = await testDatabase();
    url = new URL(database.url);
    const { hostname, port } = url;
    proxy = createServer((client) => {
      const upstream = connect(Number(port), hostname).on('error', () => client.destroy());
      client.on('error', () => upstream.destroy());
      client.on('close', () => upstream.destroy());
      client.on('data', (chunk) => {
        if (!chunk.includes('pg_catalog.pg_type')) return void upstream.write(chunk);
        asked += 1;
        if (fault === 'reset') client.resetAndDestroy();
        else if (fault !== undefined) client.end();
        else upstream.write(chunk);
      });
      upstream.on('data', (chunk: Buffer) => {
        const isReady = chunk.subarray(-6).equals(Buffer.from('Z\0\0\0\x05I', 'latin1'));
        client.write(fault === 'shutdown' && isReady ? Buffer.concat([chunk, shutdown]) : chunk);
      });
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    url.port = String((proxy.address() as AddressInfo).port);
  });
  afterAll(async () => {
    proxy.close();
    await database.drop();
  });

  // Anything else that rejects ends the test run.
  it.each([
    ['is closed', 'end', 'CONNECTION_CLOSED'],
    ['is reset', 'reset', 'ECONNRESET'],
    ['was being shut down', 'shutdown', '57P01'],
  ] as const)('fails those who wait for a connection that %s meanwhile, and nothing else', async (_what, kind, code) => {
    const sql = postgres(url.href, { max: 1, backoff: false });
    asked = 0;
    fault = kind;
    await expect(sql`select 1`).rejects.toMatchObject({ code });
    expect(asked).toBe(1);
    fault = undefined;
    expect(await sql`select ${[1, 2]}::int[] as numbers`).toEqual([{ numbers: [1, 2] }]);
    await sql.end();
  });
});
