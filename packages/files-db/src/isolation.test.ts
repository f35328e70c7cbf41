import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { reserveFile } from './file-statements.ts';
import { migrateDatabase } from './index.ts';
import { reserved } from './testing/rows.ts';
import { acme, admin, codeOf, openRig, processBeside } from './testing/support.ts';
import type { Rig } from './testing/support.ts';

describe.each(['repeatable read', 'serializable'])('a database whose transactions are %s unless they say otherwise', (level) => {
  let rig: Rig;
  let processes: ReturnType<typeof processBeside>[];
  beforeEach(async () => {
    rig = await openRig();
    await rig.tenants.create(acme);
    const [row] = await rig.query<{ name: string }>('select current_database() as name');
    await rig.query(`alter database ${row!.name} set default_transaction_isolation = '${level}'`);
    processes = [1, 2, 3].map(() => processBeside(rig)); // connections made before do not notice the setting
  });
  afterEach(async () => {
    await Promise.all(processes.map((each) => each.close()));
    await rig.close();
  });
  const everywhere = (count: number, run: (each: (typeof processes)[number], index: number) => Promise<unknown>): Promise<string[]> =>
    Promise.all(Array.from({ length: count }, (_, index) => codeOf(run(processes[index % processes.length]!, index))));

  it('takes as many of parallel uploads as fit, and deletes them', async () => {
    await rig.tenants.update(acme.tenantUuid, { quotaBytes: 12_000 });
    const request = { body: 'x'.repeat(1000), filename: 'a', ownerId: 'alice', tenantContext: acme };
    const codes = await everywhere(36, ({ files }) => files.uploadFile(request));
    expect(codes.toSorted()).toEqual([...Array(24).fill('quota_exceeded'), ...Array(12).fill('resolved')]);
    expect(await rig.usage(acme)).toEqual({ bytes: 12_000, files: 12, reserved: 0 });
    const { files } = await rig.files.list({ access: admin });
    const deleted = await everywhere(files.length, (each, index) => each.files.delete(files[index]!.id, admin));
    expect(new Set(deleted)).toEqual(new Set(['resolved']));
    expect(await rig.usage(acme)).toEqual({ bytes: 0, files: 0, reserved: 0 });
  });

  it('keeps a tenant, and its upload that began while the deletion waited for it', async () => {
    const upload = await rig.database.sql.reserve();
    await upload`begin`;
    await reserveFile(upload, reserved());
    const deleting = codeOf(processes[0]!.tenantService.delete('acme'));
    const waits = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    await expect.poll(() => rig.query(waits)).toHaveLength(1);
    await upload`commit`;
    upload.release();
    expect(await deleting).toBe('tenant_not_empty');
  });

  it('takes a bucket from a tenant while its position in the list is changed', async () => {
    await rig.tenants.addBucket('acme', 'acme-more');
    const change = await rig.database.sql.reserve();
    await change`begin`;
    await change`update tenant_buckets set position = position + 1 where bucket = 'acme-more'`;
    const removing = codeOf(processes[0]!.tenants.removeBucket('acme-more'));
    const waits = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    await expect.poll(() => rig.query(waits)).toHaveLength(1);
    await change`commit`;
    change.release();
    expect(await removing).toBe('resolved');
    expect(await rig.tenants.ownerOf('acme-more')).toBeUndefined();
  });

  it('is brought up to date by several processes at once', async () => {
    await rig.query('drop table coffer_migrations, files, freed_buckets, tenant_buckets, tenant_slugs, tenant_usage, tenants');
    expect(new Set(await everywhere(3, ({ database }) => migrateDatabase(database)))).toEqual(new Set(['resolved']));
  });

  it('registers a tenant that many claim at once', async () => {
    const initech = { tenantUuid: 'initech', tenantSlug: 'initech' };
    expect(new Set(await everywhere(12, ({ tenants }) => tenants.resolve(initech)))).toEqual(new Set(['resolved']));
    // The uuid of each is the slug that the other one asks for.
    const pairs = [1, 2].map((n) => ({ tenantUuid: `name-${n}`, tenantSlug: `name-${3 - n}` }));
    const codes = await everywhere(12, ({ tenants }, index) => tenants.resolve(pairs[index % 2]!));
    expect(codes.filter((code) => code === 'resolved')).toHaveLength(6);
    expect(codes.filter((code) => code === 'tenant_mismatch')).toHaveLength(6);
  });
});
