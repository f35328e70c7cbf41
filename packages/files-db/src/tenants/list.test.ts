import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { connectDatabase, TenantRepository } from '../index.ts';
import type { Database } from '../index.ts';
import { openRig } from '../testing/support.ts';
import type { Rig } from '../testing/support.ts';

const all = 3000;

// If each page read everything before it, the cost of a walk through all tenants would grow with the square of their number.
describe.each(['embedded', 'debian'] as const)('the rows that a page of tenants reads on PostgreSQL (%s)', (server) => {
  let rig: Rig;
  let database: Database;

  beforeAll(async () => {
    rig = await openRig({ server });
    await rig.query(
      `insert into tenants (tenant_uuid, tenant_slug) select 'uuid-' || n, 'slug-' || n from generate_series(1, ${all}) as n`,
    );
    await rig.query('insert into tenant_usage (tenant_uuid) select tenant_uuid from tenants');
    await rig.query(`insert into tenant_buckets (bucket, tenant_uuid) select 'bucket-' || tenant_slug, tenant_uuid from tenants`);
    await rig.query('analyze');
    // One connection, whose counters are the lists'.
    database = connectDatabase({ url: rig.url, max: 1 });
  });
  afterAll(async () => {
    await database.close();
    await rig.close();
  });

  const rowsRead = async (): Promise<number> => {
    await database.sql`select pg_stat_force_next_flush()`;
    await database.sql`select 1`;
    const [row] = await database.sql<{ rows: string }[]>`
      select sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) as rows from pg_stat_user_tables
      where relname in ('tenants', 'tenant_usage', 'tenant_buckets')`;
    return Number(row?.rows);
  };

  it.each([100, 1000])('are only those on the page, with %i on each', async (limit) => {
    const tenants = new TenantRepository({ database, bucketNameFor: ({ tenantSlug }) => tenantSlug, reservedBuckets: [] });
    const before = await rowsRead();
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await tenants.list({ limit, cursor });
      seen.push(...page.tenants.map(({ tenantUuid }) => tenantUuid));
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(new Set(seen).size).toBe(all);
    // Three tables, the first row of the next page, and a few rows for planning.
    expect((await rowsRead()) - before).toBeLessThan(3 * (all + all / limit) + 1000);
  });
});
