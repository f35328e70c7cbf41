import { readdirSync, readFileSync } from 'node:fs';

import { testDatabase } from '@coffer/fixtures';
import { getTableConfig } from 'drizzle-orm/pg-core';
import type { PgTable } from 'drizzle-orm/pg-core';
import { describe, expect, it } from 'vitest';

import { connectDatabase, files, migrateDatabase, pendingMigrations, tenantBuckets, tenants, tenantSlugs, tenantUsage } from '../index.ts';
import type { Database } from '../index.ts';
import { freedBuckets } from './schema.ts';
import { codeOf } from '../testing/support.ts';
import { migrations } from './migrations.ts';

const tables: readonly PgTable[] = [files, tenants, tenantSlugs, tenantBuckets, tenantUsage, freedBuckets];

async function emptyDatabase(server: 'embedded' | 'debian'): Promise<{ readonly url: string; readonly drop: () => Promise<void> }> {
  return testDatabase({ server });
}

async function columnsOf(database: Database): Promise<ReadonlyMap<string, string>> {
  const rows = await database.sql<{ name: string; type: string }[]>`
    select format('%s.%s', c.relname, a.attname) as name, format_type(a.atttypid, a.atttypmod) || case when a.attnotnull then ' not null' else '' end as type
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped`;
  return new Map(rows.map(({ name, type }) => [name, type]));
}

describe.each(['embedded', 'debian'] as const)('migrateDatabase on PostgreSQL (%s)', (server) => {
  it('makes the tables that the drizzle schema describes', async () => {
    const { url, drop } = await emptyDatabase(server);
    const database = connectDatabase({ url });
    await migrateDatabase(database);
    const found = await columnsOf(database);
    for (const table of tables) {
      const { name, columns, indexes } = getTableConfig(table);
      for (const column of columns) {
        const type = column.getSQLType().replace(/^timestamp \(3\)/, 'timestamp(3)');
        expect([column.name, found.get(`${name}.${column.name}`)]).toEqual([
          column.name,
          `${type}${column.notNull || column.primary ? ' not null' : ''}`,
        ]);
      }
      expect([...found.keys()].filter((key) => key.startsWith(`${name}.`))).toHaveLength(columns.length);
      const present = await database.sql<{ name: string }[]>`select indexname as name from pg_indexes where tablename = ${name}`;
      expect(present.map((index) => index.name)).toEqual(expect.arrayContaining(indexes.map((index) => index.config.name)));
    }
    await database.close();
    await drop();
  });

  it('may be run again, and by four processes at once', async () => {
    const { url, drop } = await emptyDatabase(server);
    const databases = [1, 2, 3, 4].map(() => connectDatabase({ url, max: 2 }));
    await Promise.all(databases.map(migrateDatabase));
    await Promise.all(databases.map(migrateDatabase));
    const applied = await databases[0]!.sql<{ name: string }[]>`select name from coffer_migrations order by name`;
    expect(applied.map(({ name }) => name)).toEqual(migrations.map(({ name }) => name));
    await Promise.all(databases.map((database) => database.close()));
    await drop();
  });

  it('stays in the schema that search_path names, as a user who owns nothing else', async () => {
    const { url, drop } = await emptyDatabase(server);
    const owner = connectDatabase({ url });
    const user = `coffer_user_${process.pid}_${server}`;
    await owner.sql.unsafe(`
      create role ${user} login password 'secret' nosuperuser; create schema app authorization ${user};
      alter role ${user} set search_path = app; create table public.files (x int)`);
    const mine = new URL(url);
    mine.username = user;
    mine.password = 'secret';
    const database = connectDatabase({ url: mine.href });
    await migrateDatabase(database);
    await migrateDatabase(database);
    const rows = await database.sql<
      { name: string }[]
    >`select table_name as name from information_schema.tables where table_schema = 'app' order by 1`;
    expect(rows.map(({ name }) => name)).toEqual([
      'coffer_migrations',
      'files',
      'freed_buckets',
      'tenant_buckets',
      'tenant_slugs',
      'tenant_usage',
      'tenants',
    ]);
    await database.close();
    await owner.sql.unsafe(`drop owned by ${user} cascade; drop role ${user}`);
    await owner.close();
    await drop();
  });
});

describe('migrateDatabase', () => {
  it('is one query when there is nothing to do', async () => {
    const { url, drop } = await emptyDatabase('embedded');
    const database = connectDatabase({ url });
    await migrateDatabase(database);
    const statements: string[] = [];
    const { sql } = connectDatabase({ url });
    sql.options.debug = (_connection, query) => statements.push(query);
    await migrateDatabase({ sql });
    expect(statements).toEqual(['select name from coffer_migrations']);
    await sql.end();
    await database.close();
    await drop();
  });

  it('leaves the tables of a newer version as they are, and tells of them', async () => {
    const { url, drop } = await emptyDatabase('embedded');
    const database = connectDatabase({ url });
    expect(await migrateDatabase(database)).toEqual({ newer: [] });
    await database.sql`insert into coffer_migrations (name) values ('9999_later')`;
    expect(await migrateDatabase(database)).toEqual({ newer: ['9999_later'] });
    await database.close();
    await drop();
  });

  it('continues in the schema that has the tables, even if another one precedes it by now', async () => {
    const { url, drop } = await emptyDatabase('embedded');
    const { name: last, sql: text } = migrations.findLast(({ sql }) => /CREATE (INDEX|TABLE)/.test(sql))!;
    const former = connectDatabase({ url });
    await migrateDatabase(former);
    const [, kind, made] = /CREATE (INDEX|TABLE) "(\w+)"/.exec(text)!;
    await former.sql.unsafe(`drop ${kind} ${made}; delete from coffer_migrations where name = '${last}'; create schema coffer`);
    await former.close();
    const database = connectDatabase({ url });
    await migrateDatabase(database);
    const tables = await database.sql`select schemaname from pg_tables where tablename in ('files', 'coffer_migrations')`;
    expect([...tables]).toEqual([{ schemaname: 'public' }, { schemaname: 'public' }]);
    expect(await database.sql`select 1 from pg_class where relnamespace = 'public'::regnamespace and relname = ${made!}`).toHaveLength(1);
    await database.close();
    await drop();
  });

  it('does not block reads while it creates an index of existing files', async () => {
    const { url, drop } = await emptyDatabase('embedded');
    const database = connectDatabase({ url });
    const [{ sql: initial }, ...later] = migrations as [(typeof migrations)[number], ...typeof migrations];
    await database.sql.unsafe(initial);
    const locks = new Map<string, number>();
    await database.sql.begin(async (transaction) => {
      for (const text of later.flatMap(({ sql }) => sql.split('--> statement-breakpoint'))) {
        await transaction.unsafe(text);
        if (!text.includes('CREATE INDEX')) continue;
        const held = await transaction`
          select from pg_locks where relation = 'files'::regclass and mode = 'AccessExclusiveLock' and pid = pg_backend_pid()`;
        locks.set(text.trim(), held.length);
      }
    });
    expect([...locks].filter(([, held]) => held > 0)).toEqual([]);
    expect(locks.size).toBeGreaterThan(0);
    await database.close();
    await drop();
  });

  it('says what is wrong with a connection, without its password', async () => {
    const { url, drop } = await emptyDatabase('embedded');
    const wrong = (change: (changed: URL) => void): string => {
      const changed = new URL(url);
      changed.password = 'hunter2-secret';
      change(changed);
      return changed.href;
    };
    const attempts = {
      'The database refuses the user or its password.': wrong(() => {}),
      'The database cannot be reached.': wrong((changed) => (changed.port = '1')),
      'The database named in the connection does not exist.': new URL('/missing', url).href,
    };
    for (const [message, attempt] of Object.entries(attempts)) {
      const database = connectDatabase({ url: attempt });
      const error = await migrateDatabase(database).catch((failure: unknown) => failure as Error);
      expect(error).toMatchObject({ code: 'storage_unavailable', message });
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('hunter2');
      await expect(pendingMigrations(database)).rejects.toMatchObject({ code: 'storage_unavailable', message });
      await database.close();
    }
    expect(() => connectDatabase({ url: 'postgres://user:hunter2@[bad/' })).toThrow(/cannot be read/);
    expect(await codeOf(Promise.resolve().then(() => connectDatabase({ url: 'mysql://x:hunter2@y/z' })))).toBe('invalid_argument');
    await drop();
  });

  it.each(['tenants', 'files'])("says so where the schema has somebody else's table of the name %s, and leaves it alone", async (name) => {
    const { url, drop } = await emptyDatabase('embedded');
    const database = connectDatabase({ url });
    await database.sql.unsafe(`create table ${name} (theirs int)`);
    await expect(migrateDatabase(database)).rejects.toMatchObject({
      code: 'storage_unavailable',
      retryable: false,
      message: 'The schema has a table that is not from Coffer under a name that Coffer needs; name another schema in the search_path.',
    });
    const tables = await database.sql`select tablename from pg_tables where schemaname = 'public'`;
    expect([...tables]).toEqual([{ tablename: name }]);

    await database.sql`create schema coffer`;
    const apart = connectDatabase({ url: `${url}?search_path=coffer` });
    await migrateDatabase(apart);
    await Promise.all([apart.close(), database.close()]);
    await drop();
  });

  it('embeds exactly what drizzle/*.sql hold, which name no schema', () => {
    const folder = new URL('../../drizzle/', import.meta.url);
    const names = readdirSync(folder)
      .filter((name) => name.endsWith('.sql'))
      .toSorted();
    expect(migrations.map(({ name }) => `${name}.sql`)).toEqual(names);
    for (const { name, sql } of migrations) {
      expect(sql).toBe(readFileSync(new URL(`${name}.sql`, folder), 'utf8'));
      expect(sql).not.toContain('"public"');
    }
  });
});

describe('connectDatabase', () => {
  it('takes parts as well as a URL, and keeps statements unnamed for a pooler', async () => {
    const { url, drop } = await emptyDatabase('embedded');
    const { hostname: host, port, pathname, username: user, password } = new URL(url);
    const parts = connectDatabase({ host, port: Number(port), database: pathname.slice(1), user, password, max: 1 });
    await parts.check();
    expect(await parts.sql`select count(*)::int as named from pg_prepared_statements where name <> ''`).toMatchObject([{ named: 2 }]); // this one included
    const pooled = connectDatabase({ url: `${url}?prepare=false`, max: 1 });
    await migrateDatabase(pooled);
    await pooled.sql`select ${1}::int as x`;
    expect(await pooled.sql`select count(*)::int as named from pg_prepared_statements where name <> ''`).toMatchObject([{ named: 0 }]);
    await Promise.all([parts.close(), pooled.close()]);
    await drop();
  });
});
