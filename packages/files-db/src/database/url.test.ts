import { testDatabase } from '@coffer/fixtures';
import { describe, expect, it, vi } from 'vitest';

import { connectDatabase } from '../index.ts';
import { parseDatabaseUrl, shownDatabaseUrl } from './url.ts';

const optionsOf = (url: string): object => connectDatabase({ url }).sql.options;

describe('the URL of a database', () => {
  it('is refused when it is no URL, such as the value of an unset variable', () => {
    for (const url of [undefined, null, '', 'mysql://h/db'] as string[]) {
      expect(() => connectDatabase({ url })).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
    }
  });

  it.each([
    ['postgres://u:p@h1:1,h2:2/db', { host: ['h1', 'h2'], port: [1, 2], user: 'u', pass: 'p', database: 'db' }],
    ['postgresql://u:p%40%2C@h1,h2:2,h3/db', { host: ['h1', 'h2', 'h3'], port: [5432, 2, 5432], pass: 'p@,' }],
    ['postgres://u:p@[::1]:6,[fe80::1],h/db', { host: ['::1', 'fe80::1', 'h'], port: [6, 5432, 5432] }],
    ['postgres://u@h:7/db', { host: ['h'], port: [7] }],
    ['postgres://u@[::1]/db', { host: ['::1'], port: [5432] }],
    ['postgres:///db?host=a,b&port=1,2&user=me', { host: ['a', 'b'], port: [1, 2], user: 'me' }],
    ['postgres:///db?host=a,b&port=9', { host: ['a', 'b'], port: [9, 9] }],
    ['postgres:///db?host=a,b&port=9,', { host: ['a', 'b'], port: [9, 5432] }],
    ['postgres:///db?host=/run/pg&port=9', { path: '/run/pg/.s.PGSQL.9' }],
    ['postgres:///db?host=/run/pg&sslmode=require', { path: '/run/pg/.s.PGSQL.5432', ssl: false }],
    ['postgres:///db?host=/run/pg&sslmode=verify-ca', { path: '/run/pg/.s.PGSQL.5432', ssl: false }],
    ['postgres://u:p%40%2B@/db?host=/run/pg', { path: '/run/pg/.s.PGSQL.5432', user: 'u', pass: 'p@+', database: 'db' }],
    ['postgres://u@/db?host=/run/pg&user=v', { path: '/run/pg/.s.PGSQL.5432', user: 'v' }],
    ['postgres://u:p@/db?host=h', { host: ['h'], user: 'u', pass: 'p' }],
    ['postgres://%2Frun%2Fpg/db', { path: '/run/pg/.s.PGSQL.5432' }],
    ['postgres://h1,h2/db', { target_session_attrs: 'read-write' }],
    ['postgres://h1,h2/db?target_session_attrs=primary', { target_session_attrs: 'primary' }],
    ['postgres://h1/db?target_session_attrs=read-write', { target_session_attrs: 'read-write' }],
    ['postgres://h/db?application_name=mine', { connection: { application_name: 'mine' } }],
    ['postgres://h/db', { connection: { application_name: 'coffer' } }],
    ['postgres://h/db?fallback_application_name=other', { connection: { application_name: 'other' } }],
    ['postgres://h/db?application_name=mine&fallback_application_name=other', { connection: { application_name: 'mine' } }],
    ['postgres:///?host=h&dbname=data', { host: ['h'], database: 'data' }],
    ['postgres://h/db?dbname=%3Fa%2Fb%25', { database: '?a/b%' }],
    ['postgres://h/my%20db', { database: 'my db' }],
    [' postgres://h/db\n', { host: ['h'], database: 'db' }],
    ['postgres://h/db', { max: 10 }],
    ['postgres://h/db?max=3', { max: 3, connection: { application_name: 'coffer' } }],
    // As providers write it.
    ['postgres://h/db?sslmode=require&channel_binding=require', { ssl: 'verify-full' }],
    ['postgres://h/db?sslmode=require&channel_binding=prefer', { ssl: 'require' }],
    ['postgres://h/db?sslrootcert=system', { ssl: 'verify-full' }],
  ])('%s', (url, options) => {
    expect(optionsOf(url)).toMatchObject(options);
  });

  it.each([
    ['postgres://h', { host: ['h'], port: [6], user: 'me', pass: 'word', database: 'data' }],
    ['postgres://h:7/db', { host: ['h'], port: [7], database: 'db' }],
    ['postgres://u:p@h/db', { host: ['h'], port: [6], user: 'u', pass: 'p', database: 'db' }],
    ['postgres:///', { host: ['from'], port: [6], database: 'data' }],
    ['postgres:///db?port=5432', { host: ['from'], port: [5432] }],
    ['postgres:///db?host=/run/pg', { path: '/run/pg/.s.PGSQL.6' }],
    // For several hosts, libpq too takes the default port.
    ['postgres://h1,h2:7/db', { host: ['h1', 'h2'], port: [5432, 7] }],
    ['postgres://h1,h2/db', { host: ['h1', 'h2'], port: [5432, 5432] }],
  ])('takes what it leaves out from the environment, as libpq does: %s', (url, options) => {
    const environment = { PGHOST: 'from', PGPORT: '6', PGUSER: 'me', PGPASSWORD: 'word', PGDATABASE: 'data' };
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    expect(optionsOf(url)).toMatchObject(options);
    vi.unstubAllEnvs();
  });

  it('sends the server no settings that concern only the client', () => {
    const query = 'gssencmode=disable&keepalives=1&keepalives_idle=30&channel_binding=disable&sslsni=1&load_balance_hosts=disable';
    expect(optionsOf(`postgres://h/db?${query}&sslrootcert=system`)).toHaveProperty('connection', { application_name: 'coffer' });
  });

  it.each(['disable', 'allow', 'prefer'])('allows a server without TLS, with sslmode=%s', async (mode) => {
    const { url, drop } = await testDatabase();
    await using database = connectDatabase({ url: `${url}?sslmode=${mode}` });
    await database.check();
    await drop();
  });

  it.each(['require', 'verify-ca', 'verify-full'])('refuses a server without TLS, with sslmode=%s', async (mode) => {
    const { url, drop } = await testDatabase();
    await using database = connectDatabase({ url: `${url}?sslmode=${mode}` });
    await expect(database.check()).rejects.toMatchObject({
      code: 'storage_unavailable',
      retryable: false,
      message: expect.stringMatching(/does not accept TLS connections/) as string,
    });
    await drop();
  });

  it('accepts a host that takes no writes, with target_session_attrs=any', () => {
    expect(optionsOf('postgres://h1,h2/db?target_session_attrs=any')).not.toMatchObject({ target_session_attrs: 'read-write' });
  });

  it.each([
    'mysql://u:secret@h/db',
    'u:secret@h/db',
    'postgres://u:secret@h1:x,h2/db',
    'postgres://u:secret@h1,h2:70000/db',
    'postgres://u:secret@h1:0/db',
    'postgres://u:secret%@h/db',
    'postgres://u:secret%@/db?host=/run/pg',
    'postgres://u:se/cret@h/db',
    'postgres://u:12/secret@h/db',
    'postgres://u:12/%40secret@h/db',
    'postgres://u:12?secret@h/db',
    'postgres://u:12#secret@h/db',
    'postgres://u:p@secret?secret@h/db',
    'postgres://u:p@secret#secret@h/db',
    'postgres://u:secret@h%ff/db',
    'postgres://u:secret@h/db%ff',
    'postgres://u:secret@h/db?sslmode=nonsense',
    'postgres://u:secret@h1,,h2/db',
    'postgres://u:secret@h1,/db',
    'postgres:///db?user=u&password=secret&host=a,b&port=1,2,3',
    'postgres:///db?user=u&password=secret&host=a,b,c&port=1,2',
    'postgres:///db?user=u&password=secret&host=a&port=x',
    'postgres:///db?user=u&password=secret&host=/run/pg,b',
    'postgres://u:secret@h1,h2/db?target_session_attrs=standby',
    'postgres://u:secret@h1/db?target_session_attrs=nonsense',
    'postgres://u:secret@h/db?channel_binding=require&sslmode=disable',
    'postgres://u:secret@h/db?channel_binding=nonsense',
    'postgres://u:secret@h/db?gssencmode=require',
    'postgres://u:secret@h/db?max=0',
    'postgres://u:secret@h/db?max=many',
    'postgres://u:secret@h/db?sslrootcert=/etc/secret.pem',
  ])('is refused without being repeated: %s', (url) => {
    expect(() => parseDatabaseUrl(url)).toThrow(
      expect.objectContaining({ code: 'invalid_argument', message: expect.not.stringMatching(/secret|12/) as string }),
    );
  });

  it.each([
    ['postgres://u:secret@h:7/db?sslmode=require', { url: 'postgres://u:***@h:7/db', hosts: 'h:7', database: '/db' }],
    ['postgres://:secret@h1,h2/db', { url: 'postgres://:***@h1,h2/db', hosts: 'h1,h2', database: '/db' }],
    ['postgres://u@h/db?dbname=a/b', { url: 'postgres://u@h/a%2Fb', hosts: 'h', database: '/a%2Fb' }],
    ['postgres:///db?host=/run/pg&password=secret', { url: 'postgres:///db', hosts: '/run/pg', database: '/db' }],
  ])('is shown without its password, and names the database that is used: %s', (url, shown) => {
    expect(shownDatabaseUrl(url)).toEqual(shown);
  });
});
