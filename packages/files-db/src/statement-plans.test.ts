import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { connectDatabase, FileService } from './index.ts';
import type { Database } from './index.ts';
import { deleteFiles, releaseFormerLocations } from './mass-deletion.ts';
import { endClaims } from './relocation-statements.ts';
import { TenantQueues } from './tenants/tenant-queues.ts';
import { reserved, settled } from './testing/rows.ts';
import { acme, openRig, userOf } from './testing/support.ts';
import type { Rig } from './testing/support.ts';

// After a few runs, PostgreSQL keeps one plan for a prepared statement. It may be made while the table has hardly a row.
describe.each(['embedded', 'debian'] as const)('a statement prepared while there are no files, on PostgreSQL (%s)', (server) => {
  let rig: Rig;
  let database: Database;
  beforeAll(async () => {
    rig = await openRig({ server });
    // In a long run it would analyze the few rows meanwhile, for which reading the whole table is right.
    await rig.query('alter table files set (autovacuum_enabled = false)');
    await rig.tenants.create(acme);
    // A connection sees its own counters at once.
    database = connectDatabase({ url: rig.url, max: 1 });
  });
  afterAll(async () => {
    await database.close();
    await rig.close();
  });

  const scans = async (...tables: readonly string[]): Promise<number> => {
    await database.sql`select pg_stat_force_next_flush()`;
    const [row] = await database.sql<{ scans: string }[]>`
      select sum(seq_scan) as scans from pg_stat_user_tables where relname in ${database.sql(['files', ...tables])}`;
    return Number(row!.scans);
  };

  it('never reads the whole table later, however many files are reserved, settled, found and deleted together', async () => {
    const turns = new TenantQueues(database.sql);
    const files = new FileService({ database, storage: rig.storage });
    const access = userOf(acme, 'alice');
    await rig.tenants.addBucket('acme', 'acme-uploads');
    const before = await scans('tenant_buckets');
    for (let round = 0; round < 20; round++) {
      const together = Array.from({ length: 1 + (round % 8) }, () => reserved({ onRecord: true }));
      await Promise.all(together.map((file) => turns.reserve(file)));
      await Promise.all(together.map(({ id }) => turns.settle(acme.tenantUuid, settled(id))));
      const { id } = together[0]!;
      await files.get(id, access);
      await Promise.all(together.map((file) => files.get(file.id, access)));
      await files.list({ access, limit: 2 });
      await files.delete(id, access);
    }
    expect((await scans('tenant_buckets')) - before).toBe(0);
  });

  it('never reads the whole table to sweep, or to delete a tenant, also where the server is told to plan for any parameters', async () => {
    const files = new FileService({ database, storage: rig.storage });
    const insert = async (rows: number, status: 'available' | 'deleted'): Promise<void> => {
      await rig.query(`insert into files (id, tenant_uuid, owner_id, filename, content_type, bucket, storage_key, status, sweep_at)
        select gen_random_uuid(), '${acme.tenantUuid}', 'alice', 'a', 'text/plain', 'acme-uploads', 'k', '${status}',
          case when '${status}' = 'deleted' then now() - interval '2 days' end from generate_series(1, ${rows})`);
    };
    await insert(100_000, 'available');
    await insert(5, 'deleted');
    await rig.query('analyze files');
    for (const mode of ['auto', 'force_generic_plan']) {
      await database.sql.unsafe(`set plan_cache_mode = ${mode}`);
      for (let round = 0; round < 10; round++) {
        await insert(5, 'deleted');
        const before = await scans();
        await files.sweep();
        for await (const _ of deleteFiles(database.sql, { tenant: acme.tenantUuid })) break;
        for await (const _ of releaseFormerLocations(database.sql, { tenant: acme.tenantUuid }));
        await endClaims(database.sql, { tenant: acme.tenantUuid, bucket: 'acme-uploads' });
        expect([mode, (await scans()) - before]).toEqual([mode, 0]);
      }
    }
  });
});
