import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { connectDatabase, TenantRepository } from '../index.ts';
import type { Database } from '../index.ts';
import { acme, openRig } from '../testing/support.ts';
import type { Rig } from '../testing/support.ts';
import { mayHaveCommitted, onDatabase } from './error.ts';

describe('a database that refuses statements because an operator told it to', () => {
  let rig: Rig;
  const open: Database[] = [];
  const told = (setting: string): Database => {
    const database = connectDatabase({ url: `${rig.url}?${setting}`, max: 1 });
    open.push(database);
    return database;
  };

  beforeAll(async () => {
    rig = await openRig();
  });
  afterAll(async () => {
    await Promise.all(open.map((database) => database.close()));
    await rig.close();
  });

  it('is unavailable while it is read-only', async () => {
    const database = told('default_transaction_read_only=on');
    const tenants = new TenantRepository({ database, bucketNameFor: () => 'bucket', reservedBuckets: [] });
    await expect(tenants.create(acme)).rejects.toMatchObject({
      code: 'storage_unavailable',
      retryable: true,
      message: 'The database is read-only at the moment.',
    });
    await expect(tenants.find(acme.tenantSlug)).rejects.toMatchObject({ code: 'tenant_not_found' });
  });

  it('is unavailable for the reason that came before the connection was closed', async () => {
    const lost = await onDatabase(() => rig.database.sql`select pg_terminate_backend(pg_backend_pid())`).catch((error: unknown) => error);
    expect(lost).toMatchObject({
      code: 'storage_unavailable',
      cause: { code: 'CONNECTION_CLOSED', cause: { code: '57P01', severity: 'FATAL' } },
    });
  });

  it.each([
    ['idle_in_transaction_session_timeout', '25P03'],
    ['transaction_timeout', '25P04'],
  ])('is unavailable for the reason that came between two statements of a transaction: %s', async (timeout, code) => {
    const database = told(`${timeout}=100`);
    const idle = database.sql.begin(async (sql) => {
      await sql`select 1`;
      await new Promise(() => {});
    });
    await expect(onDatabase(() => idle)).rejects.toMatchObject({
      code: 'storage_unavailable',
      retryable: true,
      message: 'A timeout of the database ended the statement or its transaction.',
      cause: { code: 'CONNECTION_CLOSED', cause: { code, severity: 'FATAL' } },
    });
  });

  // As where the server has not read all that was sent to it.
  it('is unavailable for the reason that came before the connection was reset', async () => {
    const { hostname, port } = new URL(rig.url);
    const resetting = createServer((client) => {
      const server = connect(Number(port), hostname);
      client.on('error', () => {}).pipe(server);
      server.on('data', (chunk) => client.write(chunk, () => chunk.includes('57P01') && client.resetAndDestroy()));
    }).listen(0, '127.0.0.1');
    await once(resetting, 'listening');
    const url = new URL(rig.url);
    url.port = String((resetting.address() as AddressInfo).port);
    const database = connectDatabase({ url: url.href, max: 1 });
    open.push(database);
    const ending = 'select pg_terminate_backend(pg_backend_pid())';
    for (const lost of [() => database.sql.unsafe(ending), () => database.sql.begin((sql) => sql.unsafe(ending))]) {
      await expect(onDatabase(lost)).rejects.toMatchObject({
        code: 'storage_unavailable',
        cause: { code: expect.stringMatching(/^(?:ECONNRESET|CONNECTION_CLOSED)$/), cause: { code: '57P01' } },
      });
    }
    resetting.close();
  });

  const refused = 'The database does not accept statements at the moment.';
  it.each([
    ['08006', 'of a pooler that has lost the server', { code: 'storage_unavailable', retryable: true, message: refused }],
    ['53100', 'when its disk is full', { code: 'storage_unavailable', retryable: true, message: refused }],
    ['55000', 'when it accepts no connections', { code: 'storage_unavailable', retryable: true, message: refused }],
    ['58030', 'when its disk fails', { code: 'storage_unavailable', retryable: true, message: refused }],
    ['42501', 'to a user without a privilege', { code: 'storage_unavailable', retryable: false }],
    ['22P05', 'for a character that it cannot store', { code: 'validation_failed' }],
    ['54001', 'for JSON that is too deep', { code: 'validation_failed' }],
  ])('tells of %s, %s, in words of its own', async (state, _when, expected) => {
    const statement = `do $$ begin raise sqlstate '${state}'; end $$`;
    await expect(onDatabase(() => rig.database.sql.unsafe(statement))).rejects.toMatchObject(expected);
  });

  it.each([
    ['statement_timeout=20', 'select pg_sleep(9)'],
    ['lock_timeout=20', 'lock table files'],
    ['transaction_timeout=50', 'select pg_sleep(9)'],
  ])('is unavailable where a statement takes longer than %s', async (setting, statement) => {
    const database = told(setting);
    await rig.database.sql.begin(async (sql) => {
      await sql`lock table files`;
      await expect(onDatabase(() => database.sql.begin((late) => late.unsafe(statement)))).rejects.toMatchObject({
        code: 'storage_unavailable',
        retryable: true,
        message: 'A timeout of the database ended the statement or its transaction.',
      });
    });
  });
});

it.each([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_HAS_EXPIRED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
])('a server whose certificate is not trusted is unavailable until somebody sees to that: %s', async (code) => {
  const cause = Object.assign(new Error('of the connection'), { code });
  await expect(onDatabase(() => Promise.reject(cause))).rejects.toMatchObject({
    code: 'storage_unavailable',
    retryable: false,
    message: 'The certificate of the database is not trusted.',
    cause,
  });
});

it.each(['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'])(
  'a server with which TLS cannot be negotiated is unavailable: %s',
  async (code) => {
    const cause = Object.assign(new Error('0A00042E:SSL routines'), { code });
    const unavailable = { code: 'storage_unavailable', message: 'No TLS connection to the database could be made.', cause };
    await expect(onDatabase(() => Promise.reject(cause))).rejects.toMatchObject(unavailable);
  },
);

// What Linux reports where a route forbids the connection, or a router answers that there is no such protocol.
it.each(['EACCES', 'EINVAL', 'ENOPROTOOPT'])('a server to which no connection can be made is unavailable: %s', async (code) => {
  const cause = Object.assign(new Error(`connect ${code} 192.0.2.1:5432`), { code, syscall: 'connect' });
  const unavailable = { code: 'storage_unavailable', retryable: true, message: 'The database cannot be reached.', cause };
  await expect(onDatabase(() => Promise.reject(cause))).rejects.toMatchObject(unavailable);
  const ofAllAddresses = new AggregateError([cause]);
  await expect(onDatabase(() => Promise.reject(ofAllAddresses))).rejects.toMatchObject({ ...unavailable, cause: ofAllAddresses });
});

it.each([
  ['read', 'EHOSTUNREACH'],
  ['read', 'ENOMEM'],
  ['write', 'ENETDOWN'],
])('a connection that ends because of any error of the system may have carried out its statement: %s %s', async (syscall, code) => {
  const cause = Object.assign(new Error(`${syscall} ${code}`), { code, syscall });
  const error = await onDatabase(() => Promise.reject(cause)).catch((failure: unknown) => failure);
  expect(error).toMatchObject({ code: 'storage_unavailable', retryable: true, message: 'The database cannot be reached.', cause });
  expect(mayHaveCommitted(error)).toBe(true);
});
