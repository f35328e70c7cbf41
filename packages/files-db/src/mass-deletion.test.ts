import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { connectDatabase, TenantService } from './index.ts';
import type { Database } from './index.ts';
import { deleteFiles, findFileIn, releaseFormerLocations } from './mass-deletion.ts';
import { endClaims } from './relocation-statements.ts';
import { acme, openRig } from './testing/support.ts';
import type { Rig } from './testing/support.ts';

const each = 2000;
const few = 3;

// A statement that reads all files takes longer the more there are, and after half a minute without an answer it counts as lost.
describe.each(['embedded', 'debian'] as const)('a mass deletion on PostgreSQL, %s', (server) => {
  let rig: Rig;
  let database: Database;

  beforeAll(async () => {
    rig = await openRig({ server });
    await rig.tenants.create(acme);
    // One connection, whose counters are the deletion's.
    database = connectDatabase({ url: rig.url, max: 1 });
  });
  afterAll(async () => {
    await database.close();
    await rig.close();
  });

  const insert = async (first: number, bucket: string, count: number, status = 'available'): Promise<void> => {
    await rig.query(`insert into files (id, tenant_uuid, owner_id, filename, content_type, bucket, storage_key, status, sweep_at)
      select (lpad(to_hex(${first} + n), 8, '0') || '-0000-7000-8000-000000000000')::uuid, '${acme.tenantUuid}', 'alice', 'a', 'text/plain',
        '${bucket}', 'k', '${status}', case when '${status}' <> 'available' then now() end
      from generate_series(1, ${count}) as n`);
  };

  const rowsRead = async (): Promise<number> => {
    await database.sql`select pg_stat_force_next_flush()`;
    await database.sql`select 1`;
    const [row] = await database.sql<{ rows: string }[]>`
      select seq_tup_read + coalesce(idx_tup_fetch, 0) as rows from pg_stat_user_tables where relname = 'files'`;
    return Number(row?.rows);
  };

  it.each(['before the table was ever analyzed', 'once it was'])('reads only the rows of the bucket, %s', async (when) => {
    await rig.query('truncate files');
    await insert(0, 'large', each);
    await insert(each, 'cleared', each, 'deleted');
    await insert(2 * each, 'small', few);
    await insert(3 * each, 'large', each);
    if (when === 'once it was') await rig.query('analyze files');
    const before = await rowsRead();
    for (const bucket of ['none', 'cleared']) expect(await findFileIn(database.sql, { bucket })).toEqual([]);
    for (const bucket of ['none', 'cleared', 'small']) {
      const deleted: string[] = [];
      for await (const rows of deleteFiles(database.sql, { bucket })) deleted.push(...rows.map((row) => row.bucket));
      expect(deleted).toEqual(Array.from({ length: bucket === 'small' ? few : 0 }, () => 'small'));
    }
    // Each row is found, locked and changed; planning reads a few.
    expect((await rowsRead()) - before).toBeLessThan(100);
  });

  it("finds the former places of a tenant's files without passing all its other tombstones", async () => {
    await rig.query('truncate files');
    await insert(0, 'former', few, 'deleted');
    await rig.query(`update files set owner_id = '', sweep_at = now() + interval '1 day'`);
    await insert(0x01_90_00_00, 'cleared', 10 * each);
    await rig.query('analyze files');
    for await (const _ of deleteFiles(database.sql, { tenant: acme.tenantUuid }));
    const pagesRead = async (): Promise<number> => {
      await database.sql`select pg_stat_force_next_flush()`;
      await database.sql`select 1`;
      const [row] = await database.sql<{ pages: string }[]>`
        select idx_blks_read + idx_blks_hit as pages from pg_statio_user_indexes where indexrelname = 'files_by_status'`;
      return Number(row?.pages);
    };
    // The plan of the first runs knows the parameters; that of later ones does not.
    for (let round = 0; round < 8; round++) {
      const before = await pagesRead();
      const former: string[] = [];
      for await (const rows of releaseFormerLocations(database.sql, { tenant: acme.tenantUuid })) former.push(...rows.map(({ id }) => id));
      await endClaims(database.sql, { tenant: acme.tenantUuid, bucket: 'none' });
      expect(former).toHaveLength(round === 0 ? few : 0);
      expect((await pagesRead()) - before).toBeLessThan(50);
    }
  });

  it("yields each former place of a tenant's files once, in as many batches as it takes", async () => {
    await rig.query('truncate files');
    await insert(0, 'former', each, 'deleted');
    await rig.query(`update files set owner_id = '', sweep_at = now() + interval '1 day'`);
    await insert(each, 'cleared', each, 'deleted');
    const former: string[] = [];
    for await (const rows of releaseFormerLocations(database.sql, { tenant: acme.tenantUuid })) former.push(...rows.map(({ id }) => id));
    expect([former.length, new Set(former).size]).toEqual([each, each]);
    expect(await rig.query(`select 1 from files where bucket = 'former' and sweep_at < to_timestamp(0)`)).toHaveLength(each);
  });

  it('passes what it has deleted of a bucket once, also while a dump needs it', async () => {
    await rig.query('truncate files');
    await insert(0x01_90_00_00, 'acme-uploads', each);
    await rig.tenants.addBucket('acme', 'acme-uploads');
    await rig.query('vacuum analyze files');
    const dump = await rig.database.sql.reserve();
    await dump`begin isolation level repeatable read`;
    await dump`select 1 from files limit 1`;
    const entriesRead = async (): Promise<number> => {
      await database.sql`select pg_stat_force_next_flush()`;
      await database.sql`select 1`;
      const [row] = await database.sql<{ entries: string }[]>`
        select idx_tup_read as entries from pg_stat_user_indexes where indexrelname = 'files_by_bucket'`;
      return Number(row?.entries);
    };
    const before = await entriesRead();
    await new TenantService({ tenants: rig.tenants, storage: rig.storage, database }).delete('acme', { force: true });
    const read = (await entriesRead()) - before;
    await dump`commit`;
    dump.release();
    expect(read).toBeGreaterThanOrEqual(each); // otherwise the plan is another one, and this proves nothing
    expect(read).toBeLessThan(1.5 * each);
  });
});
