import { setTimeout as delay } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { connectDatabase } from '../index.ts';
import { reserved, settled } from '../testing/rows.ts';
import { acme, codeOf, globex, openRig, upload } from '../testing/support.ts';
import type { Rig } from '../testing/support.ts';
import { TenantQueues } from './tenant-queues.ts';

describe('turns on the numbers of a tenant', () => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await openRig();
    await rig.tenants.create(acme);
    await rig.tenants.create(globex);
    await upload(rig, 'first', { tenantContext: globex });
  });
  afterAll(() => rig.close());

  /** Only of this database: others on the server have waits, too. */
  const waiting = (): Promise<readonly unknown[]> =>
    rig.query(`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`);
  const rows = async (ids: readonly string[]): Promise<readonly Record<string, unknown>[]> =>
    rig.query(
      `select *, expires_at - created_at as expires_in, sweep_at - created_at as sweep_in from files where id in (${ids.map((id) => `'${id}'`).join(',')}) order by id`,
    );

  it('writes the same rows, one by one and together', async () => {
    const turns = new TenantQueues(rig.database.sql);
    const expires = { uploadKey: 'incoming/1', expiresIn: 3600.5, sha256: 'a'.repeat(64), isPublic: false };
    const alone = [reserved(), reserved(expires)];
    for (const file of alone) expect(await turns.reserve(file)).toEqual({ granted_bytes: '7', limited: false });
    const together = [reserved(), reserved(), reserved(expires), reserved()];
    expect(await Promise.all(together.map((file) => turns.reserve(file)))).toEqual(
      together.map(() => ({ granted_bytes: '7', limited: false })),
    );
    const [one, two, , first, second] = await rows([...alone, ...together].map(({ id }) => id));
    const times = { id: '', created_at: '', updated_at: '', expires_at: '', sweep_at: '' };
    expect({ ...first, ...times }).toEqual({ ...one, ...times });
    expect({ ...second, ...times }).toEqual({ ...two, ...times });

    const late = { ownerId: 'bob', isPublic: false, metadata: '{"c":null}', storageKey: 'files/2', sha256: 'b'.repeat(64) };
    await turns.settle(acme.tenantUuid, settled(alone[0]!.id, late));
    await turns.settle(acme.tenantUuid, settled(alone[1]!.id));
    const ids = together.map(({ id }) => id);
    const answers = await Promise.all(
      ids.map((id, index) => turns.settle(acme.tenantUuid.toUpperCase(), settled(id, index === 1 ? late : {}))),
    );
    expect(answers.map((answer) => answer?.id)).toEqual(ids);
    const after = await rows([...alone.map(({ id }) => id), ...ids]);
    expect({ ...after[3], ...times }).toEqual({ ...after[0], ...times });
    expect({ ...after[4], ...times }).toEqual({ ...after[1], ...times });
    expect(await rig.usage(acme)).toMatchObject({ bytes: 42, files: 6, reserved: 0 });
  });

  it('applies the quota to all that ask together', async () => {
    const turns = new TenantQueues(rig.database.sql);
    const { bytes } = await rig.usage(acme);
    await rig.tenants.update(acme.tenantUuid, { quotaBytes: bytes + 1000 });
    const files = [reserved(), reserved(), reserved()];
    const answers = await Promise.all(files.map((file) => turns.reserve(file)));
    expect(answers).toEqual(files.map(() => ({ granted_bytes: '7', limited: true })));
    await rig.tenants.update(acme.tenantUuid, { quotaBytes: null });
    for (const { id } of files) await rig.files.delete(id, { subject: 'root', role: 'admin' });
  });

  it('settles nothing twice, and tells a late call so', async () => {
    const turns = new TenantQueues(rig.database.sql);
    const files = [reserved(), reserved(), reserved()];
    await Promise.all(files.map((file) => turns.reserve(file)));
    const [gone, ...others] = files.map(({ id }) => id) as [string, string, string];
    await rig.files.delete(gone, { subject: 'root', role: 'admin' });
    const before = await rig.usage(acme);
    const answers = await Promise.all([others[0]!, gone, others[1]!].map((id) => turns.settle(acme.tenantUuid, settled(id))));
    expect(answers.map((answer) => answer?.status)).toEqual(['available', undefined, 'available']);
    expect(await rig.usage(acme)).toMatchObject({ files: before.files + 2, reserved: 0 });
  });

  it('settles a file once, however many of those that wait together ask for it', async () => {
    const turns = new TenantQueues(rig.database.sql);
    const files = [reserved(), reserved()];
    await Promise.all(files.map((file) => turns.reserve(file)));
    const [first, twice] = files.map(({ id }) => id) as [string, string];
    const before = await rig.usage(acme);
    const answers = await Promise.all([
      turns.settle(acme.tenantUuid, settled(first)),
      turns.settle(acme.tenantUuid, settled(twice, { storageKey: 'files/one' })),
      turns.settle(acme.tenantUuid, settled(twice, { storageKey: 'files/other' })),
    ]);
    expect(answers.map((answer) => answer?.storage_key)).toEqual(['files/1', 'files/one', undefined]);
    expect(await rig.usage(acme)).toMatchObject({ bytes: before.bytes + 14, files: before.files + 2, reserved: 0 });
  });

  it.each(['the same order', 'the other order'])('settles all, though somebody else locks them in %s', async (order) => {
    const turns = new TenantQueues(rig.database.sql);
    const files = [reserved(), reserved(), reserved()];
    for (const file of files) await turns.reserve(file);
    const [first, lower, upper] = files.map(({ id }) => id) as [string, string, string];
    const locked = order === 'the same order' ? [lower, upper] : [upper, lower];
    const deletion = await rig.database.sql.reserve();
    await deletion`begin`;
    await deletion`select 1 from files where id = ${locked[0]!} for update`;
    const answers = Promise.all([first, upper, lower].map((id) => turns.settle(acme.tenantUuid, settled(id))));
    await expect.poll(waiting).toHaveLength(1);
    // PostgreSQL ends whichever of the two finds the deadlock.
    await deletion`select 1 from files where id = ${locked[1]!} for update`.catch(() => {});
    await deletion`commit`;
    deletion.release();
    expect((await answers).map((answer) => answer?.id)).toEqual([first, upper, lower]);
  });

  it('locks in the order of ids, wherever the rows lie and however they are found', async () => {
    const turns = new TenantQueues(rig.database.sql);
    const files = Array.from({ length: 40 }, () => reserved());
    for (const file of files.toReversed()) await turns.reserve(file);
    const ids = files.map(({ id }) => id);
    await rig.query('vacuum analyze files'); // for a table this small, a hash is cheaper than its index
    const [first, lower, upper] = ids as [string, string, string];
    const deletion = await rig.database.sql.reserve();
    await deletion`begin`;
    await deletion`select 1 from files where id = ${lower} for update`;
    const answers = Promise.all([first, upper, lower].map((id) => turns.settle(acme.tenantUuid, settled(id))));
    await expect.poll(waiting).toHaveLength(1);
    await deletion`select 1 from files where id = ${upper} for update nowait`;
    await deletion`commit`;
    deletion.release();
    expect((await answers).map((answer) => answer?.id)).toEqual([first, upper, lower]);
    for (const id of ids) await rig.files.delete(id, { subject: 'root', role: 'admin' });
  });

  it('does not fail one call because of another', async () => {
    const turns = new TenantQueues(rig.database.sql);
    const files = [reserved(), reserved(), reserved({ filename: '\0' }), reserved({ filename: '\uD800' })];
    const results = await Promise.allSettled(files.map((file) => turns.reserve(file)));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    expect(results[2]).toMatchObject({ reason: { code: 'validation_failed' } });
    for (const { id } of [files[0]!, files[1]!, files[3]!]) await rig.files.delete(id, { subject: 'root', role: 'admin' });
  });

  it('counts every byte of what is asked for together, however much that is', async () => {
    const turns = new TenantQueues(rig.database.sql);
    const most = Number.MAX_SAFE_INTEGER;
    const files = [7, most, 2, ...Array.from({ length: 3 }, () => most)].map((asked) => reserved({ asked, least: asked }));
    await Promise.all(files.map((file) => turns.reserve(file)));
    for (const { id } of files) await rig.files.delete(id, { subject: 'root', role: 'admin' });
    expect(await rig.usage(acme)).toMatchObject({ reserved: 0 });
  });

  it('refuses what is more than can be counted', async () => {
    const turns = new TenantQueues(rig.database.sql);
    const before = await rig.usage(acme);
    const files = Array.from({ length: 1040 }, () => reserved({ asked: Number.MAX_SAFE_INTEGER }));
    const codes = await Promise.all(files.map((file) => codeOf(turns.reserve(file))));
    expect(new Set(codes)).toEqual(new Set(['resolved', 'quota_exceeded']));
    for (const [index, { id }] of files.entries())
      if (codes[index] === 'resolved') await rig.files.delete(id, { subject: 'root', role: 'admin' });
    expect(await rig.usage(acme)).toEqual(before);
  });

  it('shares out the last bytes one by one', async () => {
    const { bytes } = await rig.usage(acme);
    await rig.tenants.update(acme.tenantUuid, { quotaBytes: bytes + 30 });
    const uploads = Array.from({ length: 20 }, () => codeOf(upload(rig, '0123456789', { tenantContext: acme })));
    const codes = await Promise.all(uploads);
    expect(codes.filter((code) => code === 'resolved')).toHaveLength(3);
    expect(codes.filter((code) => code === 'quota_exceeded')).toHaveLength(17);
    expect(await rig.usage(acme)).toMatchObject({ bytes: bytes + 30, reserved: 0 });
    await rig.tenants.update(acme.tenantUuid, { quotaBytes: null });
  });

  it('leaves connections to other tenants, however many uploads of one wait', async () => {
    const holder = await rig.database.sql.reserve();
    await holder`begin`;
    await holder`select 1 from tenant_usage where tenant_uuid = ${acme.tenantUuid} for update`;
    const before = await rig.usage(globex);
    const waiting = Array.from({ length: 30 }, (_, index) => upload(rig, `waiting ${index}`, { tenantContext: acme }));
    for (let index = 0; index < 5; index++) await upload(rig, `passing ${index}`, { tenantContext: globex });
    expect(await rig.usage(globex)).toMatchObject({ files: before.files + 5 });
    await holder`commit`;
    holder.release();
    expect(await Promise.all(waiting)).toHaveLength(30);
  });

  it("waits for a tenant's usage on one connection, whatever starts and ends in the meantime", async () => {
    const turns = new TenantQueues(rig.database.sql);
    const ending = [reserved(), reserved(), reserved()];
    const coming = [reserved(), reserved(), reserved()];
    for (const file of ending) await turns.reserve(file);
    const holder = await rig.database.sql.reserve();
    await holder`begin`;
    await holder`select 1 from tenant_usage where tenant_uuid = ${acme.tenantUuid} for update`;
    const done: Promise<unknown>[] = [];
    for (const [index, file] of coming.entries()) {
      done.push(turns.reserve(file), turns.settle(acme.tenantUuid.toUpperCase(), settled(ending[index]!.id)));
      await delay(50);
    }
    await expect.poll(waiting).toHaveLength(1);
    await holder`commit`;
    holder.release();
    expect((await Promise.all(done)).filter((answer) => answer === undefined)).toEqual([]);
    for (const { id } of [...ending, ...coming]) await rig.files.delete(id, { subject: 'root', role: 'admin' });
  });

  it('tells all that wait when the database is away', async () => {
    const nobody = connectDatabase({ url: 'postgres://nobody@127.0.0.1:1/none' });
    const turns = new TenantQueues(nobody.sql);
    const results = await Promise.allSettled([reserved(), reserved(), reserved()].map((file) => turns.reserve(file)));
    for (const result of results) expect(result).toMatchObject({ status: 'rejected', reason: { code: 'storage_unavailable' } });
    await nobody.close();
  });
});
