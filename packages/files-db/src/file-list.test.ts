import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { connectDatabase, FileService } from './index.ts';
import type { Database } from './index.ts';
import { claimDestination, findStrays, switchLocation } from './relocation-statements.ts';
import { acme, admin, globex, openRig, userOf } from './testing/support.ts';
import type { Rig } from './testing/support.ts';

// Enough rows to matter to the planner.
const each = 2000;

describe.each(['embedded', 'debian'] as const)('the rows that lists read on PostgreSQL, %s', (server) => {
  let rig: Rig;
  let database: Database;

  beforeAll(async () => {
    rig = await openRig({ server });
    // What the planner knows is what each test tells it.
    await rig.query('alter table files set (autovacuum_enabled = false)');
    // One connection, whose counters are the list's.
    database = connectDatabase({ url: rig.url, max: 1 });
  });
  afterAll(async () => {
    await database.close();
    await rig.close();
  });

  const insert = async (first: number, status: string, tenant: string | undefined): Promise<void> => {
    await rig.query(`insert into files (id, tenant_uuid, owner_id, filename, content_type, bucket, storage_key, is_public, status, sweep_at)
      select (lpad(to_hex(${first} + n), 8, '0') || '-0000-7000-8000-000000000000')::uuid, ${tenant === undefined ? 'null' : `'${tenant}'`}, 'alice',
        'a', 'text/plain', 'b', 'k', n % 2 = 0, '${status}', case when '${status}' <> 'available' then now() + interval '1 day' end
      from generate_series(1, ${each}) as n`);
  };

  const rowsRead = async (): Promise<number> => {
    await database.sql`select pg_stat_force_next_flush()`;
    await database.sql`select 1`;
    const [row] = await database.sql<{ rows: string }[]>`
      select seq_tup_read + coalesce(idx_tup_fetch, 0) as rows from pg_stat_user_tables where relname = 'files'`;
    return Number(row?.rows);
  };

  it.each([
    ['of a tenant', acme],
    ['without a tenant', undefined],
  ])('are only those returned, whatever else is newer, %s', async (_, tenant) => {
    const files = new FileService({ database, storage: rig.storage });
    const first = tenant === undefined ? 0 : 100_000;
    await insert(first, 'available', tenant?.tenantUuid);
    await insert(first + each, 'pending', tenant?.tenantUuid);
    await insert(first + 2 * each, 'deleted', tenant?.tenantUuid);
    await rig.query('analyze files');
    for (const subject of ['alice', 'bob']) {
      await files.list({ access: userOf(tenant, subject), limit: 50 }); // planning may read rows, too
      const before = await rowsRead();
      const page = await files.list({ access: userOf(tenant, subject), limit: 50 });
      expect(page.files).toHaveLength(50);
      // A list reads one page from each of its two sources.
      expect((await rowsRead()) - before).toBeLessThanOrEqual(2 * 51);
    }
  });

  it.each([
    ['an admin', { ...admin, tenant: acme.tenantUuid }],
    ['a service', { subject: 'backup', role: 'service', tenant: acme.tenantUuid } as const],
  ])('are only those returned, however many files of the tenant were deleted, for %s', async (_, access) => {
    const files = new FileService({ database, storage: rig.storage });
    await rig.query('truncate files');
    await insert(0, 'available', acme.tenantUuid);
    await insert(each, 'available', globex.tenantUuid);
    await insert(2 * each, 'deleted', acme.tenantUuid);
    await rig.query('analyze files');
    await files.list({ access, limit: 50 });
    const before = await rowsRead();
    expect((await files.list({ access, limit: 50 })).files).toHaveLength(50);
    expect((await rowsRead()) - before).toBeLessThanOrEqual(51);
  });

  it.each(['before the table was ever analyzed', 'once it was'])(
    'are at most some thousands of deleted files that are newer, for an admin of all tenants, %s',
    async (when) => {
      const files = new FileService({ database, storage: rig.storage });
      await rig.query('truncate files; delete from pg_statistic where starelid = (select oid from pg_class where relname = $$files$$)');
      for (const [part, tenant] of [acme.tenantUuid, undefined, globex.tenantUuid].entries())
        await insert(part * each, 'available', tenant);
      await insert(3 * each, 'pending', globex.tenantUuid);
      for (let part = 4; part < 20; part++) await insert(part * each, 'deleted', acme.tenantUuid);
      await rig.query('vacuum files');
      if (when === 'once it was') await rig.query('analyze files');
      const all = await rig.query<{ id: string }>(`select id from files where status = 'available' order by id desc`);
      for (let run = 0; run < 10; run++) {
        const before = await rowsRead();
        const first = await files.list({ access: admin, limit: 50 });
        const second = await files.list({ access: admin, limit: 50, cursor: first.nextCursor! });
        expect([...first.files, ...second.files].map(({ id }) => id)).toEqual(all.slice(0, 100).map(({ id }) => id));
        // And the files of globex that are pending, which are in its index as well.
        expect((await rowsRead()) - before).toBeLessThanOrEqual(10_000 + 3 * each);
      }
      const found: string[] = [];
      for (let cursor: string | undefined; found.length < all.length && cursor !== null;) {
        const page = await files.list({ access: admin, limit: 1000, cursor });
        found.push(...page.files.map(({ id }) => id));
        cursor = page.nextCursor ?? undefined;
      }
      expect(found).toEqual(all.map(({ id }) => id));
    },
  );

  it('are all deleted files that are newer, for an admin of all tenants, where that is less work than to search each tenant', async () => {
    const files = new FileService({ database, storage: rig.storage });
    await rig.query('truncate files');
    await insert(0, 'available', acme.tenantUuid);
    for (let part = 1; part < 17; part++) await insert(part * each, 'deleted', globex.tenantUuid);
    await rig.query('vacuum analyze files');
    await rig.query(
      `insert into tenants (tenant_uuid, tenant_slug) select gen_random_uuid(), 'other-' || n from generate_series(1, 2000) n`,
    );
    await rig.query('analyze tenants');
    const before = await rowsRead();
    const { files: found, nextCursor } = await files.list({ access: admin, limit: 50 });
    const read = (await rowsRead()) - before;
    expect([found.length, nextCursor]).toEqual([50, expect.any(String)]);
    expect(read).toBeGreaterThan(16 * each);
    expect(read).toBeLessThanOrEqual(16 * each + 100); // once, and not a second time by tenants
    await rig.query(`delete from tenants where tenant_slug like 'other-%'`);
    await rig.query('analyze tenants');
  });

  it.each([
    ['an admin', admin],
    ['an admin, of a tenant', { ...admin, tenant: acme.tenantUuid }],
    ['a user', userOf(acme, 'alice')],
    ['a user without a tenant', userOf(undefined, 'alice')],
  ])('are only those returned for a status that few files have, for %s', async (_, access) => {
    const files = new FileService({ database, storage: rig.storage });
    await rig.query('truncate files');
    await insert(0, 'available', acme.tenantUuid);
    await insert(each, 'available', undefined);
    await insert(2 * each, 'pending', globex.tenantUuid);
    await rig.query('analyze files');
    await files.list({ access, status: 'failed' });
    const before = await rowsRead();
    expect((await files.list({ access, status: 'failed' })).files).toEqual([]);
    expect((await rowsRead()) - before).toBe(0);
  });

  it.each([
    ['an admin', 'newer', admin],
    ['an admin, of a tenant', 'newer', { ...admin, tenant: acme.tenantUuid }],
    ['an admin, of a tenant', 'older', { ...admin, tenant: acme.tenantUuid }],
  ] as const)(
    "are only those returned for a status that many files have, for %s, when another tenant's are %s",
    async (_, others, access) => {
      const files = new FileService({ database, storage: rig.storage });
      await rig.query('truncate files');
      await insert(each, 'pending', acme.tenantUuid);
      await insert(others === 'newer' ? 2 * each : 0, 'pending', globex.tenantUuid);
      await insert(3 * each, 'available', globex.tenantUuid);
      for (const analyzed of [false, true]) {
        if (analyzed) await rig.query('analyze files');
        const { nextCursor } = await files.list({ access, status: 'pending', limit: 50 });
        await files.list({ access, status: 'pending', limit: 50, cursor: nextCursor! });
        const before = await rowsRead();
        const page = await files.list({ access, status: 'pending', limit: 50 });
        const next = await files.list({ access, status: 'pending', limit: 50, cursor: page.nextCursor! });
        expect([page.files.length, next.files.length]).toEqual([50, 50]);
        // One more row than a page tells whether there are more. Planning a list after a cursor looks up the last id.
        expect((await rowsRead()) - before).toBeLessThanOrEqual(2 * 51 + 2);
      }
    },
  );

  it("are at most the owner's in all tenants together, for an admin, however often the list runs", async () => {
    const files = new FileService({ database, storage: rig.storage });
    await rig.query('truncate files');
    for (const [part, { tenantUuid }] of [acme, globex].entries()) await insert(part * each, 'available', tenantUuid);
    await rig.query(`update files set owner_id = 'owner-' || ('x' || left(id::text, 8))::bit(32)::int % 20`);
    await rig.query('vacuum analyze files');
    const owned = (2 * each) / 20;
    // After a few runs, PostgreSQL keeps one plan for a statement.
    for (let run = 0; run < 10; run++) {
      for (const [ownerId, most] of [
        ['owner-7', owned],
        ['nobody', 0],
      ] as const) {
        const before = await rowsRead();
        const page = await files.list({ access: admin, ownerId, limit: 50 });
        expect(page.files).toHaveLength(Math.min(most, 50));
        // Planning reads a few rows.
        expect((await rowsRead()) - before).toBeLessThanOrEqual(most + 10);
      }
    }
  });

  it.each([
    ["a user's own", userOf(acme, 'alice'), 'alice', 'pending'],
    ["another one's public ones", userOf(acme, 'bob'), 'alice', 'available'],
    ["another one's public ones", userOf(acme, 'bob'), 'alice', 'pending'],
    ['those that a user sees', userOf(acme, 'bob'), undefined, 'pending'],
    ["an owner's, to an admin of a tenant", { ...admin, tenant: acme.tenantUuid }, 'alice', 'pending'],
  ] as const)('are only those returned when few of many match: %s', async (_, access, ownerId, status) => {
    const files = new FileService({ database, storage: rig.storage });
    await rig.query('truncate files');
    await insert(0, status, acme.tenantUuid);
    await insert(each, status, acme.tenantUuid);
    for (let part = 2; part < 10; part++) await insert(part * each, 'available', globex.tenantUuid);
    const few = `('x' || left(id::text, 8))::bit(32)::int % 1000 = 0 and tenant_uuid = '${acme.tenantUuid}'`;
    // Alice has few of the pending files; she has all available ones, few of which are public.
    await rig.query(
      `update files set is_public = ${few}, owner_id = case when ${few} or status = 'available' then 'alice' else 'carol' end`,
    );
    await rig.query('vacuum analyze files');
    for (let run = 0; run < 10; run++) {
      const before = await rowsRead();
      const page = await files.list({ access, ownerId, status, limit: 50 });
      expect(page.files).toHaveLength(4);
      // Planning reads a few rows.
      expect((await rowsRead()) - before).toBeLessThanOrEqual(4 + 4);
    }
  });

  it('are a page of each tenant in which an owner has many files, for an admin', async () => {
    const files = new FileService({ database, storage: rig.storage });
    await rig.query('truncate files');
    for (const [part, tenant] of [acme.tenantUuid, globex.tenantUuid, undefined].entries()) await insert(part * each, 'available', tenant);
    await rig.query('vacuum analyze files');
    const all = await rig.query<{ id: string }>('select id from files order by id desc');
    for (let run = 0; run < 10; run++) {
      const found: string[] = [];
      for (let cursor: string | undefined; found.length < 4000 && cursor !== null;) {
        const page = await files.list({ access: admin, ownerId: 'alice', limit: 1000, cursor });
        found.push(...page.files.map(({ id }) => id));
        cursor = page.nextCursor ?? undefined;
      }
      expect(found).toEqual(all.slice(0, 4000).map(({ id }) => id));
      const before = await rowsRead();
      expect((await files.list({ access: admin, ownerId: 'alice', limit: 50 })).files).toHaveLength(50);
      // Public files and others are read separately, and one row of each tenant finds the tenant.
      expect((await rowsRead()) - before).toBeLessThanOrEqual(3 * 2 * 51 + 10);
    }
  });

  it('are few of each tenant but those with the newest files, when an owner has files in many, for an admin', async () => {
    const files = new FileService({ database, storage: rig.storage });
    await rig.query('truncate files');
    const [many, pageSize] = [200, 4];
    await insert(0, 'available', acme.tenantUuid);
    // In turn, so that the newest files are of as many tenants.
    await rig.query(`update files set tenant_uuid = 'tenant-' || ('x' || left(id::text, 8))::bit(32)::int % ${many}`);
    await rig.query('vacuum analyze files');
    const all = await rig.query<{ id: string }>('select id from files order by id desc');
    for (let run = 0; run < 10; run++) {
      const before = await rowsRead();
      const first = await files.list({ access: admin, ownerId: 'alice', limit: pageSize });
      const second = await files.list({ access: admin, ownerId: 'alice', limit: pageSize, cursor: first.nextCursor! });
      expect([...first.files, ...second.files].map(({ id }) => id)).toEqual(all.slice(0, 2 * pageSize).map(({ id }) => id));
      // One row of each tenant finds the tenant, and another its newest file.
      expect((await rowsRead()) - before).toBeLessThanOrEqual(2 * (2 * many + 2 * (pageSize + 1) ** 2));
    }
  });

  it.each(['before the table was ever analyzed', 'once it was'])(
    "are an owner's few of a status that many files have, in all tenants, for an admin, %s",
    async (when) => {
      const files = new FileService({ database, storage: rig.storage });
      await rig.query('truncate files; delete from pg_statistic where starelid = (select oid from pg_class where relname = $$files$$)');
      for (const [part, tenant] of [acme.tenantUuid, globex.tenantUuid, undefined].entries()) await insert(part * each, 'failed', tenant);
      await rig.query(`update files set owner_id = 'bob' where ('x' || left(id::text, 8))::bit(32)::int % 1000 = 0`);
      await rig.query('vacuum files');
      if (when === 'once it was') await rig.query('analyze files');
      const bobs = await rig.query<{ id: string }>(`select id from files where owner_id = 'bob' order by id desc`);
      for (let run = 0; run < 10; run++) {
        const before = await rowsRead();
        const first = await files.list({ access: admin, ownerId: 'bob', status: 'failed', limit: 4 });
        const second = await files.list({ access: admin, ownerId: 'bob', status: 'failed', limit: 4, cursor: first.nextCursor! });
        expect([...first.files, ...second.files].map(({ id }) => id)).toEqual(bobs.map(({ id }) => id));
        expect((await files.list({ access: admin, ownerId: 'nobody', status: 'failed' })).files).toEqual([]);
        // One row of each tenant finds the tenant. Planning reads a few rows.
        expect((await rowsRead()) - before).toBeLessThanOrEqual(50);
      }
    },
  );

  it('are only those returned, whatever has moved to the bucket of its tenant, for an admin', async () => {
    const files = new FileService({ database, storage: rig.storage });
    await rig.query('truncate files');
    await insert(0x01900000, 'available', acme.tenantUuid);
    await rig.query(`update files set storage_key = id::text, etag = ''`);
    const to = await rig.tenants.bucketFor(acme);
    for (const { id } of await rig.query<{ id: string }>('select id from files limit 200')) {
      const move = { id, key: id, from: 'b', to };
      const [claimed] = await claimDestination(database.sql, { ...move, seconds: 1e10 });
      expect(await switchLocation(database.sql, { ...move, claim: claimed!.claim, etag: '', sweepIn: 1e10 })).toHaveLength(1);
    }
    await rig.query('vacuum analyze files');
    await files.list({ access: admin, limit: 50 });
    const before = await rowsRead();
    expect((await files.list({ access: admin, limit: 50 })).files).toHaveLength(50);
    // A row more tells whether there are more; counting rows reads another one ahead.
    expect((await rowsRead()) - before).toBeLessThanOrEqual(52);
  });

  it("are one page at a time when files outside a tenant's bucket are sought, and there are none", async () => {
    await rig.query('truncate files');
    for (const [part, { tenantUuid }] of [acme, globex, acme].entries()) await insert(part * each, 'available', tenantUuid);
    await rig.query('vacuum analyze files');
    const walk = { tenant: acme.tenantUuid, buckets: '["b"]', after: '00000000-0000-0000-0000-000000000000', limit: 100 };
    for (let run = 0; run < 10; run++) {
      const before = await rowsRead();
      const [last, ...others] = await findStrays(database.sql, walk);
      expect([last, others]).toMatchObject([{ strays: false, is_last: true }, []]);
      // Planning reads a few rows.
      expect((await rowsRead()) - before).toBeLessThanOrEqual(100 + 10);
    }
  });

  it.each([
    ['an admin', admin],
    ['an admin, of a tenant', { ...admin, tenant: acme.tenantUuid }],
    ['a user', userOf(acme, 'alice')],
  ])('are only those returned before the table was ever analyzed, for %s', async (_, access) => {
    await rig.query(
      'drop table if exists analyzed; alter table files rename to analyzed; create table files (like analyzed including all) with (autovacuum_enabled = false)',
    );
    const files = new FileService({ database, storage: rig.storage });
    for (let part = 0; part < 10; part++) await insert(part * each, 'available', acme.tenantUuid);
    await files.list({ access, limit: 5 });
    const before = await rowsRead();
    expect((await files.list({ access, limit: 5 })).files).toHaveLength(5);
    expect((await rowsRead()) - before).toBeLessThanOrEqual(2 * 6);
  });
});
