import { setTimeout as delay } from 'node:timers/promises';

import { memoryBackend, storageError, untilAborted, wrapBackend } from '@coffer/storage-core';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';

import { acme, admin, codeOf, globex, openRig, presigning, processBeside, upload } from './testing/support.ts';
import type { Rig } from './testing/support.ts';
import { connectDatabase, FileService } from './index.ts';

const day = 86_400_000;
const inDays = (days: number): Date => new Date(Date.now() + days * day);

describe.each(['embedded', 'debian'] as const)('sweep on PostgreSQL (%s)', (server) => {
  let rig: Rig;
  const backend = (): ReturnType<typeof memoryBackend> => presigning(memoryBackend());
  beforeEach(async () => {
    rig = await openRig({ server, backend: backend() });
  });
  afterEach(() => rig.close());

  const presign = (tenantContext: typeof acme | undefined, sizeBytes = 3): ReturnType<Rig['files']['createPresignedUpload']> =>
    rig.files.createPresignedUpload({ filename: 'a', contentType: 'text/plain', sizeBytes, ownerId: 'alice', tenantContext });
  const put = (bucket: string, key: string): Promise<unknown> =>
    rig.storage.uploadFile({ bucket, key, body: 'abc', contentType: 'text/plain' });

  it('gives up what nobody finished a day after its time, with everything it held', async () => {
    const presigned = await presign(acme);
    await put('acme-uploads', `incoming/${presigned.fileId}`);
    const file = await upload(rig, 'kept', { tenantContext: acme });
    expect(await rig.files.sweep()).toEqual({ expired: 0, failed: 0, deleted: 0, received: 0, retained: 0 });
    expect(await rig.files.sweep({ now: inDays(1) })).toMatchObject({ expired: 0 }); // one hour too early: the form is valid for an hour
    expect(await rig.files.sweep({ now: inDays(1.1), dryRun: true })).toMatchObject({ expired: 1 });
    expect(await rig.files.sweep({ now: inDays(0.1), olderThanSeconds: 0, dryRun: true })).toMatchObject({ expired: 1 }); // if told to
    expect(await rig.usage(acme)).toMatchObject({ reserved: 3 });
    expect(await rig.files.sweep({ now: inDays(1.1) })).toMatchObject({ expired: 1 });
    expect(await rig.usage(acme)).toEqual({ bytes: 4, files: 1, reserved: 0 });
    expect(await rig.keys()).toEqual([`acme-uploads/${file.storageKey}`]);
    expect(await codeOf(rig.files.get(presigned.fileId, admin))).toBe('file_not_found');
    expect(await rig.files.sweep({ now: inDays(30) })).toMatchObject({ expired: 0 });
    expect(await rig.files.get(file.id, admin)).toEqual(file);
  });

  it('goes by the clock of the database, since that of its own process may be wrong', async () => {
    const presigned = await presign(acme);
    vi.useFakeTimers({ toFake: ['Date'], now: inDays(3) });
    onTestFinished(() => void vi.useRealTimers());
    expect(await rig.files.sweep({ dryRun: true })).toMatchObject({ expired: 0 });
    expect(await rig.files.sweep()).toMatchObject({ expired: 0 });
    vi.setSystemTime(inDays(-10)); // a week ago
    let finish = (): void => {};
    const finished = new Promise<Record<never, never>>((resolve) => (finish = () => resolve({})));
    const uploading = upload(rig, 'abc', { tenantContext: acme, late: () => finished });
    await expect.poll(() => rig.query(`select 1 from files where status = 'pending'`)).toHaveLength(2);
    vi.useRealTimers();
    await rig.files.sweep();
    finish();
    expect(await uploading).toMatchObject({ status: 'available' });
    expect(await rig.files.get(presigned.fileId, admin)).toMatchObject({ status: 'pending' });
  });

  it('frees what the uploads it gives up had reserved, and nothing else', async () => {
    const deleted = await presign(acme, 3);
    await presign(acme, 5);
    const other = await presign(acme, 7);
    await rig.files.delete(deleted.fileId, admin); // has already released its reservation
    await rig.query(`update files set sweep_at = sweep_at + interval '9 days' where id = '${other.fileId}'`);
    expect(await rig.usage(acme)).toMatchObject({ reserved: 12 });
    expect(await rig.files.sweep({ now: inDays(2) })).toMatchObject({ deleted: 1, expired: 1 });
    expect(await rig.query('select id from files')).toEqual([{ id: other.fileId }]);
    expect(await rig.usage(acme)).toEqual({ bytes: 0, files: 0, reserved: 7 });
  });

  it('ends what a process left behind when it died in a direct upload', async () => {
    await rig.tenants.create({ ...acme, quotaBytes: 100 });
    let die = (): void => {};
    const dead = new Promise<never>((_resolve, reject) => (die = () => reject(new Error('the test is over'))));
    const stuck = upload(rig, 'abc', { tenantContext: acme, late: () => dead });
    stuck.catch(() => {});
    await expect.poll(() => rig.keys()).toHaveLength(1);
    expect(await rig.usage(acme)).toMatchObject({ reserved: 3 });
    // It may still be running, even if the sweep gives others no time.
    for (const dryRun of [true, false]) {
      expect(await rig.files.sweep({ olderThanSeconds: 0, now: inDays(0.9), dryRun })).toMatchObject({ expired: 0 });
    }
    expect(await rig.files.sweep({ now: inDays(1.1), dryRun: true })).toMatchObject({ expired: 1 });
    expect(await rig.files.sweep({ now: inDays(1.1) })).toMatchObject({ expired: 1 });
    expect(await rig.keys()).toEqual([]);
    expect(await rig.usage(acme)).toEqual({ bytes: 0, files: 0, reserved: 0 });
    die();
    expect(await codeOf(stuck)).toMatch(/the test is over/);
  });

  it('finds copies that a process left behind when it died while completing', async () => {
    const presigned = await presign(acme);
    await put('acme-uploads', `incoming/${presigned.fileId}`);
    await put('acme-uploads', `files/${presigned.fileId}/0123456789abcdef`);
    await rig.query('update files set complete_attempts = 1');
    const file = await rig.files.completeUpload(presigned.fileId, admin);
    expect(await rig.keys()).toHaveLength(2);
    expect(await rig.files.sweep({ now: inDays(2) })).toMatchObject({ received: 1 });
    expect(await rig.keys()).toEqual([`acme-uploads/${file.storageKey}`]);
    expect(await rig.files.sweep({ now: inDays(4) })).toMatchObject({ received: 0 });
  });

  it('leaves a row to a later sweep while the copies cannot be listed', async () => {
    let isAway = true;
    const inner = presigning(memoryBackend());
    const blind = await openRig({
      server,
      backend: {
        ...wrapBackend(inner),
        list: (bucket, options, ctx) =>
          isAway && options.prefix !== undefined ? Promise.reject(new Error('away')) : inner.list(bucket, options, ctx),
      },
    });
    const request = { filename: 'a', contentType: 'text/plain', sizeBytes: 3, ownerId: 'alice', tenantContext: acme };
    const { fileId } = await blind.files.createPresignedUpload(request);
    const copy = { bucket: 'acme-uploads', key: `files/${fileId}/0123456789abcdef` };
    await blind.storage.uploadFile({ ...copy, body: 'abc', contentType: 'text/plain' });
    await blind.query('update files set complete_attempts = 1');
    expect(await blind.files.sweep({ now: inDays(2) })).toMatchObject({ expired: 0, retained: 1 });
    expect(await blind.keys()).toEqual([`${copy.bucket}/${copy.key}`]);
    isAway = false;
    expect(await blind.files.sweep({ now: inDays(3) })).toMatchObject({ retained: 0 });
    expect(await blind.keys()).toEqual([]);
    expect(await blind.query('select 1 from files')).toEqual([]);
    await blind.close();
  });

  it('shares many rows among several processes, each row once', async () => {
    for (let index = 0; index < 450; index++) await presign(index % 3 === 0 ? undefined : index % 3 === 1 ? acme : globex);
    const databases = [1, 2, 3].map(() => connectDatabase({ url: rig.url, max: 2 }));
    const sweepers = databases.map((database) => new FileService({ database, storage: rig.storage }));
    const reports = await Promise.all(sweepers.map((files) => files.sweep({ now: inDays(2) })));
    expect(reports.reduce((sum, { expired }) => sum + expired, 0)).toBe(450);
    expect(await rig.query('select 1 from files')).toEqual([]);
    for (const tenant of [acme, globex]) expect(await rig.usage(tenant)).toEqual({ bytes: 0, files: 0, reserved: 0 });
    await Promise.all(databases.map((database) => database.close()));
  });

  it('leaves to a later sweep what the provider does not delete, and goes on with the rest', async () => {
    const inner = presigning(memoryBackend());
    const stubborn = await openRig({
      server,
      backend: {
        ...wrapBackend(inner),
        batchDelete: {
          deleteMany: async (bucket, keys, ctx) => {
            const refused = keys.filter((key) => key.includes('stubborn'));
            await inner.batchDelete!.deleteMany(
              bucket,
              keys.filter((key) => !refused.includes(key)),
              ctx,
            );
            return { deleted: [], errors: refused.map((key) => ({ key, code: 'access_denied' as const, message: 'no' })) };
          },
        },
      },
    });
    const request = { filename: 'a', contentType: 'text/plain', sizeBytes: 3, ownerId: 'alice', tenantContext: acme };
    const uploads = await Promise.all(Array.from({ length: 3 }, () => stubborn.files.createPresignedUpload(request)));
    await stubborn.query(`update files set storage_key = 'stubborn' where id = '${uploads[0]!.fileId}'`);
    for (const { fileId } of uploads) await stubborn.files.delete(fileId, admin);
    expect(await stubborn.files.sweep({ now: inDays(2) })).toMatchObject({ deleted: 2, retained: 1 });
    expect(await stubborn.query('select storage_key from files')).toEqual([{ storage_key: 'stubborn' }]);
    await stubborn.close();
  });

  it('keeps the row of a deleted file until its form expires, and removes what still arrives', async () => {
    const { fileId } = await presign(acme);
    await put('acme-uploads', `incoming/${fileId}`);
    await rig.files.delete(fileId, admin);
    await rig.query(`update files set sweep_at = now() - interval '1 second'`);
    await rig.files.sweep({ olderThanSeconds: 0 });
    expect(await rig.keys()).toEqual([]);
    await put('acme-uploads', `incoming/${fileId}`);
    await rig.files.sweep({ olderThanSeconds: 0, now: inDays(0.03) }); // the form is still valid
    expect(await rig.keys()).toHaveLength(1);
    expect(await rig.files.sweep({ olderThanSeconds: 0, now: inDays(0.1) })).toMatchObject({ deleted: 1 });
    expect(await rig.keys()).toEqual([]);
    expect(await rig.query('select 1 from files')).toEqual([]);
  });

  it('does not wait for a locked row, and leaves it to a later sweep', async () => {
    const presigned = await presign(acme);
    await presign(acme);
    const other = await rig.database.sql.reserve();
    await other`begin`;
    await other`select 1 from files where id = ${presigned.fileId} for update`;
    const sweeping = rig.files.sweep({ now: inDays(2) });
    const report = await Promise.race([sweeping, delay(20_000)]);
    await other`commit`;
    other.release();
    await sweeping;
    expect(report).toMatchObject({ expired: 1 });
    expect(await rig.files.sweep({ now: inDays(2) })).toMatchObject({ expired: 1 });
  });

  it('takes a deleted file at once if told to: nobody works on it', async () => {
    await upload(rig, 'abc', { tenantContext: acme });
    await rig.query(`update files set status = 'deleted', sweep_at = now() - interval '1 second'`);
    expect(await rig.files.sweep({ olderThanSeconds: 0 })).toMatchObject({ deleted: 1, retained: 0 });
    expect(await rig.keys()).toEqual([]);
  });

  it('leaves rows that a table of somebody else refers to, and goes on with the rest', async () => {
    const files: string[] = [];
    for (let index = 0; index < 5; index++) files.push((await upload(rig, 'abc', { tenantContext: acme })).id);
    const tables = { no_action: files[1]!, restricting: files[3]! };
    await rig.query('create table no_action (file_id uuid references files)');
    await rig.query('create table restricting (file_id uuid references files on delete restrict)');
    for (const [table, id] of Object.entries(tables)) await rig.query(`insert into ${table} values ('${id}')`);
    await rig.query(`update files set status = 'deleted', sweep_at = now()`);
    expect(await rig.files.sweep({ now: inDays(2) })).toMatchObject({ deleted: 3, retained: 2 });
    expect(await rig.keys()).toEqual([]);
    for (const table of Object.keys(tables)) await rig.query(`delete from ${table}`);
    expect(await rig.files.sweep({ now: inDays(3) })).toMatchObject({ deleted: 2, retained: 0 });
    expect(await rig.query('select 1 from files')).toEqual([]);
  });

  it('tells how many rows stay in all, however many it takes at once', async () => {
    const { id } = await upload(rig, 'abc', { tenantContext: acme });
    await rig.query('create table referring (file_id uuid references files)');
    await rig.query(`update files set status = 'deleted', sweep_at = now()`);
    await rig.query(
      `insert into files select (jsonb_populate_record(f, jsonb_build_object('id', gen_random_uuid(), 'storage_key', 'files/' || n,
        'sweep_at', now() + n * interval '1 second'))).* from files f, generate_series(1, 300) n`,
    );
    await rig.query(`insert into referring select id from files where id = '${id}' or storage_key = 'files/300'`);
    expect(await rig.files.sweep({ now: inDays(2) })).toMatchObject({ deleted: 299, retained: 2 });
  });

  it('fails when the database refuses to delete rows for another reason, and leaves them to a later sweep', async () => {
    await upload(rig, 'abc', { tenantContext: acme });
    await rig.query(`update files set status = 'deleted', sweep_at = now()`);
    await rig.query(`create function refuse() returns trigger language plpgsql as 'begin raise exception using message = old.id; end'`);
    await rig.query('create trigger refusing before delete on files for each row execute function refuse()');
    await expect(rig.files.sweep({ now: inDays(2) })).rejects.toThrow();
    await rig.query('drop trigger refusing on files');
    expect(await rig.files.sweep({ now: inDays(3) })).toMatchObject({ deleted: 1, retained: 0 });
  });

  it('removes from several buckets at once', async () => {
    const inner = presigning(memoryBackend());
    const begun = new Set<string>();
    const several = await openRig({
      server,
      backend: {
        ...wrapBackend(inner),
        // Each removal waits until that of the other bucket has begun.
        batchDelete: {
          deleteMany: async (bucket, keys, ctx) => {
            begun.add(bucket);
            await expect.poll(() => begun.size).toBe(2);
            return inner.batchDelete!.deleteMany(bucket, keys, ctx);
          },
        },
      },
    });
    for (const tenantContext of [acme, globex, acme, globex]) {
      const request = { filename: 'a', contentType: 'text/plain', sizeBytes: 3, ownerId: 'alice', tenantContext };
      await several.files.createPresignedUpload(request);
    }
    expect(await several.files.sweep({ now: inDays(2) })).toMatchObject({ expired: 4, retained: 0 });
    await several.close();
  });

  it('locks rows in the order of ids, as whoever deletes many does', async () => {
    const ids: string[] = [];
    for (let index = 0; index < 30; index++) {
      const { fileId } = await presign(acme);
      await put('acme-uploads', `incoming/${fileId}`);
      await rig.files.completeUpload(fileId, admin);
      ids.push(fileId);
    }
    const deletion = await rig.database.sql.reserve();
    const remove = rig.storage.deleteFiles.bind(rig.storage);
    // After the sweep has taken them, and before it has finished them.
    vi.spyOn(rig.storage, 'deleteFiles').mockImplementationOnce(async (...parameters) => {
      await deletion`begin`;
      await deletion`select 1 from files where id = ${ids[0]!} for update`;
      return remove(...parameters);
    });
    const sweeping = rig.files.sweep({ now: inDays(2) });
    const waits = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    await expect.poll(() => rig.query(waits)).toHaveLength(1);
    await deletion`select 1 from files where id in ${deletion(ids)} order by id for update nowait`;
    await deletion`commit`;
    deletion.release();
    expect(await sweeping).toMatchObject({ received: 30, retained: 0 });
  });

  it('leaves a file that is deleted while it clears what its form brought, and whose object stays, to the next sweep', async () => {
    const { fileId } = await presign(acme);
    await put('acme-uploads', `incoming/${fileId}`);
    const { storageKey } = await rig.files.completeUpload(fileId, admin);
    await rig.query(`update files set expires_at = now() - interval '2 days', sweep_at = now() - interval '2 days'`);
    const { delete: remove } = rig.backend;
    const refusing = vi.spyOn(rig.backend, 'delete');
    refusing.mockImplementationOnce(async (...call) => {
      refusing.mockRejectedValueOnce(storageError('storage_unavailable', 'not now'));
      vi.spyOn(rig.storage, 'deleteFiles').mockRejectedValueOnce(storageError('storage_unavailable', 'not now'));
      await rig.files.delete(fileId, admin);
      return remove(...call);
    });
    await rig.files.sweep();
    expect(await rig.keys()).toEqual([`acme-uploads/${storageKey}`]);
    expect(await rig.files.sweep({ now: inDays(1) })).toMatchObject({ deleted: 1 });
    expect(await rig.keys()).toEqual([]);
    expect(await rig.query('select 1 from files')).toEqual([]);
  });

  it.each([
    ['of the same age', {}, {}],
    ['of a lower age', {}, { olderThanSeconds: 0 }],
    ['of a higher age', { olderThanSeconds: 0 }, {}],
  ])('leaves what the provider refuses to the next sweep, also to one right after it, %s', async (_, first, second) => {
    const file = await upload(rig, 'abc', { tenantContext: acme });
    const refusing = vi.spyOn(rig.backend, 'delete').mockRejectedValue(storageError('storage_unavailable', 'not now'));
    await rig.files.delete(file.id, admin);
    expect(await rig.files.sweep(first)).toMatchObject({ deleted: 0, retained: 1 });
    expect(await rig.files.sweep({ ...second, dryRun: true })).toMatchObject({ deleted: 1 });
    refusing.mockRestore();
    expect(await rig.files.sweep(second)).toMatchObject({ deleted: 1, retained: 0 });
    expect(await rig.keys()).toEqual([]);
  });

  it.each([
    ['of many times', false],
    ['that the provider refused to remove before', true],
  ])('looks at each row once, %s, also while a long transaction, such as a dump, keeps what it took', async (_, refused) => {
    await upload(rig, 'abc', { tenantContext: acme });
    await rig.query(`update files set status = 'deleted', sweep_at = now()`);
    const rows = 3000;
    await rig.query(
      `insert into files select (jsonb_populate_record(f, jsonb_build_object('id', gen_random_uuid(), 'storage_key', 'files/' || n,
        'sweep_at', now() - n * interval '1 second'))).* from files f, generate_series(1, ${rows}) n`,
    );
    // A connection sees its own counters at once.
    const database = connectDatabase({ url: rig.url, max: 1 });
    const files = new FileService({ database, storage: rig.storage });
    if (refused) {
      const refusing = vi.spyOn(rig.storage, 'deleteFiles').mockRejectedValue(storageError('storage_unavailable', 'not now'));
      const refusingOne = vi.spyOn(rig.storage, 'deleteFile').mockRejectedValue(storageError('storage_unavailable', 'not now'));
      expect(await files.sweep({ now: inDays(2) })).toMatchObject({ retained: rows + 1 });
      refusingOne.mockRestore();
      refusing.mockRestore();
    }
    await rig.query('vacuum analyze files');
    const dump = await rig.database.sql.reserve();
    await dump`begin isolation level repeatable read`;
    await dump`select 1 from files limit 1`;
    const entriesRead = async (): Promise<number> => {
      await database.sql`select pg_stat_force_next_flush()`;
      const [row] = await database.sql<{ entries: string }[]>`
        select idx_tup_read as entries from pg_stat_user_indexes where indexrelname = 'files_to_sweep'`;
      return Number(row?.entries);
    };
    const before = await entriesRead();
    const report = await files.sweep({ now: inDays(2) });
    const read = (await entriesRead()) - before;
    await dump`commit`;
    dump.release();
    await database.close();
    expect(report).toMatchObject({ deleted: rows + 1, retained: 0 });
    expect(read).toBeGreaterThan(rows); // otherwise the plan is another one, and this proves nothing
    expect(read).toBeLessThan(2 * rows);
  });

  it('takes rows of any time, also from before 1970', async () => {
    for (const time of [`to_timestamp(-0.001)`, `'-infinity'`]) {
      await upload(rig, 'abc', { tenantContext: acme });
      await rig.query(`update files set status = 'deleted', sweep_at = ${time}`);
      expect(await rig.files.sweep()).toMatchObject({ deleted: 1 });
    }
  });

  it('takes all rows also where the database rounds the floating-point numbers that it writes', async () => {
    await upload(rig, 'abc', { tenantContext: acme });
    await rig.query(
      `insert into files select (jsonb_populate_record(f, jsonb_build_object('id', gen_random_uuid(), 'storage_key', 'files/' || n))).*
        from files f, generate_series(1, 500) n`,
    );
    await rig.query(`update files set status = 'deleted', sweep_at = now()`);
    const [row] = await rig.query<{ name: string }>('select current_database() as name');
    await rig.query(`alter database ${row!.name} set extra_float_digits = -15`);
    const other = processBeside(rig); // connections made before do not notice the setting
    expect(await other.files.sweep({ now: inDays(2) })).toMatchObject({ deleted: 501 });
    await other.close();
  });

  it('stops working on rows before others may take them, and goes on with other rows', async () => {
    for (let index = 0; index < 201; index++) await presign(acme);
    const [removing, time] = [Promise.withResolvers<void>(), new AbortController()];
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValueOnce(time.signal);
    onTestFinished(() => timeout.mockRestore());
    vi.spyOn(rig.storage, 'deleteFiles').mockImplementationOnce(async (_request, ctx) => {
      removing.resolve();
      return untilAborted(new Promise(() => {}), ctx?.signal);
    });
    const sweeping = rig.files.sweep({ now: inDays(2) }, { signal: new AbortController().signal });
    await removing.promise;
    time.abort();
    expect(await sweeping).toMatchObject({ expired: 1, retained: 200 });
    expect(await rig.files.sweep({ now: inDays(2) })).toMatchObject({ deleted: 0, retained: 0 }); // the provider may still be at work
    expect(await rig.files.sweep({ now: inDays(3) })).toMatchObject({ deleted: 200, retained: 0 });
  });

  it('takes nothing once its signal has aborted: the next sweep finds everything', async () => {
    await presign(acme);
    const stop = new AbortController();
    stop.abort(new Error('told to end'));
    await expect(rig.files.sweep({ now: inDays(2) }, { signal: stop.signal })).rejects.toThrow('told to end');
    expect(await rig.files.sweep({ now: inDays(2) })).toMatchObject({ expired: 1 });
  });

  it.each([1, 2])('counts the objects of a missing bucket as removed, of %i files', async (count) => {
    for (let index = 0; index < count; index++) await presign(acme);
    await rig.query('update files set complete_attempts = 1'); // there may have been copies
    await rig.storage.deleteBucket('acme-uploads', { force: true });
    expect(await rig.files.sweep({ now: inDays(2) })).toMatchObject({ expired: count, retained: 0 });
    expect(await rig.query('select 1 from files')).toEqual([]);
  });

  it('never interferes with an upload that completes at the same time', async () => {
    for (let round = 0; round < 10; round++) {
      const presigned = await presign(acme);
      await put('acme-uploads', `incoming/${presigned.fileId}`);
      const [completed] = await Promise.all([
        rig.files.completeUpload(presigned.fileId, admin).catch((error: unknown) => error as { readonly code: string }),
        rig.files.sweep({ now: inDays(2) }),
      ]);
      if ('status' in completed) expect(await rig.keys()).toContain(`acme-uploads/${completed.storageKey}`);
      else expect(['file_not_found', 'upload_not_found']).toContain(completed.code);
      await rig.usage(acme);
    }
  });
});
