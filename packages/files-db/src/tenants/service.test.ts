import { randomUUID } from 'node:crypto';

import { memoryBackend, storageError, wrapBackend } from '@coffer/storage-core';
import type { StorageBackend } from '@coffer/storage-core';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { reserveFile } from '../file-statements.ts';
import { createIdGenerator } from '../ids.ts';
import { acme, admin, codeOf, globex, openRig, presigning, sharedBucket, upload } from '../testing/support.ts';
import type { Rig } from '../testing/support.ts';

describe.each(['embedded', 'debian'] as const)('TenantService on PostgreSQL (%s)', (server) => {
  let rig: Rig;
  let inner: StorageBackend;
  let replaced: Partial<StorageBackend>;
  beforeEach(async () => {
    inner = presigning(memoryBackend());
    replaced = {};
    rig = await openRig({
      server,
      backend: new Proxy(inner, { get: (target, key) => Reflect.get(replaced, key) ?? Reflect.get(target, key) }),
    });
  });
  afterEach(() => rig.close());
  const buckets = async (): Promise<readonly string[]> => (await rig.storage.listBuckets()).map(({ name }) => name);

  it('provisions a tenant it does not know, and again without harm', async () => {
    const provision = (): Promise<unknown> =>
      rig.tenantService.provision(acme.tenantUuid, { tenantSlug: 'acme', region: 'eu-west-1', acl: 'private' });
    expect(await Promise.all([provision(), provision(), provision()])).toEqual(
      Array.from({ length: 3 }, () => ({ bucket: 'acme-uploads' })),
    );
    expect(await provision()).toEqual({ bucket: 'acme-uploads' });
    expect(await rig.storage.getBucketInfo('acme-uploads')).toMatchObject({ region: 'eu-west-1' });
    expect(await rig.tenants.find('acme')).toMatchObject({ ...acme, buckets: ['acme-uploads'] });
    expect(await codeOf(rig.tenantService.provision(acme.tenantUuid, { tenantSlug: 'other' }))).toBe('tenant_conflict');
    expect(await codeOf(rig.tenantService.provision('another-uuid', { tenantSlug: 'acme' }))).toBe('tenant_conflict');
    expect(await rig.tenantService.provision('acme', { tenantSlug: 'acme' })).toEqual({ bucket: 'acme-uploads' });
    expect(await codeOf(rig.tenantService.provision('x', { tenantSlug: '' }))).toBe('validation_failed');
  });

  it('provisions no tenant that is being deleted', async () => {
    await rig.tenants.create(acme);
    await rig.query(`update tenants set state = 'deleting'`);
    expect(await codeOf(rig.tenantService.provision(acme.tenantUuid, { tenantSlug: 'acme' }))).toBe('tenant_not_found');
    expect(await buckets()).toEqual([]);
  });

  it('leaves a tenant no bucket that cannot be created, or belongs to somebody else', async () => {
    const provision = (): Promise<unknown> => rig.tenantService.provision(acme.tenantUuid, { tenantSlug: 'acme' });
    const held = async (): Promise<readonly string[]> => (await rig.tenants.find('acme')).buckets;
    const denied = (): Promise<never> => Promise.reject(storageError('access_denied', 'no'));
    replaced = { buckets: { ...inner.buckets!, create: () => Promise.reject(storageError('invalid_argument', 'no such region')) } };
    expect(await codeOf(provision())).toBe('invalid_argument');
    expect(await held()).toEqual([]);
    replaced = { buckets: { ...inner.buckets!, head: denied, create: denied } };
    expect(await codeOf(provision())).toBe('access_denied');
    expect(await held()).toEqual([]);

    // A bucket stays assigned when provisioning is to be tried again, or is half done.
    const unavailable = (): Promise<never> => Promise.reject(storageError('storage_unavailable', 'no'));
    replaced = { buckets: { ...inner.buckets!, head: unavailable, create: unavailable } };
    expect(await codeOf(provision())).toBe('storage_unavailable');
    expect(await held()).toEqual(['acme-uploads']);
    replaced = {};
    expect(await provision()).toEqual({ bucket: 'acme-uploads' });
    replaced = { buckets: { ...inner.buckets!, provision: denied } };
    expect(await codeOf(rig.tenantService.provision(globex.tenantUuid, { tenantSlug: 'globex' }))).toBe('access_denied');
    expect((await rig.tenants.find('globex')).buckets).toEqual(['globex-uploads']);
    for (const gone of [{}, { head: denied, create: denied }]) {
      replaced = { buckets: { ...inner.buckets!, provision: denied, ...gone } };
      expect(await codeOf(provision())).toBe('access_denied');
      expect(await held()).toEqual(['acme-uploads']);
    }
  });

  it('gives a tenant further buckets, or changes nothing', async () => {
    await rig.tenants.create(acme);
    expect(await codeOf(rig.tenantService.createBucket({ bucket: 'acme-first', tenant: 'unknown' }))).toBe('tenant_not_found');
    expect(await codeOf(rig.tenantService.createBucket({ bucket: sharedBucket, tenant: 'acme' }))).toBe('tenant_conflict');
    expect(await rig.tenantService.createBucket({ bucket: 'acme-first', tenant: acme.tenantUuid, region: 'eu-west-1' })).toMatchObject({
      name: 'acme-first',
      region: 'eu-west-1',
    });
    await rig.tenantService.createBucket({ bucket: 'acme-a-second', tenant: 'acme' });
    expect((await rig.tenants.find('acme')).buckets).toEqual(['acme-first', 'acme-a-second']);
    expect(await upload(rig, 'x', { tenantContext: acme })).toMatchObject({ bucket: 'acme-first' });
    expect(await codeOf(rig.tenantService.createBucket({ bucket: 'acme-first', tenant: 'acme' }))).toBe('bucket_already_exists');
    expect(await rig.tenants.ownerOf('acme-first')).toBe(acme.tenantUuid);

    await rig.tenants.create(globex);
    expect(await codeOf(rig.tenantService.createBucket({ bucket: 'acme-first', tenant: 'globex' }))).toBe('bucket_already_exists');
    expect(await rig.tenants.ownerOf('acme-first')).toBe(acme.tenantUuid);
    await rig.storage.deleteBucket('acme-first', { force: true });
    expect(await codeOf(rig.tenantService.createBucket({ bucket: 'acme-first', tenant: 'globex' }))).toBe('tenant_conflict');
    await rig.storage.createBucket({ bucket: 'somebodys' });
    expect(await codeOf(rig.tenantService.createBucket({ bucket: 'somebodys', tenant: 'globex' }))).toBe('bucket_already_exists');
    expect(await rig.tenants.ownerOf('somebodys')).toBeUndefined();
    expect(await rig.query('select bucket from freed_buckets')).toEqual([]); // or the next tenant that asks for it would have to wait
    const denied = (): Promise<never> => Promise.reject(storageError('access_denied', 'no'));
    replaced = { buckets: { ...inner.buckets!, provision: denied } };
    expect(await codeOf(rig.tenantService.createBucket({ bucket: 'half-made', tenant: 'globex' }))).toBe('access_denied');
    expect(await buckets()).not.toContain('half-made');
    expect(await rig.tenants.ownerOf('half-made')).toBeUndefined();
    await rig.tenants.addBucket('globex', 'half-had');
    expect(await codeOf(rig.tenantService.createBucket({ bucket: 'half-had', tenant: 'globex' }))).toBe('access_denied');
    expect(await rig.tenants.ownerOf('half-had')).toBe(globex.tenantUuid);
    replaced = { buckets: { ...inner.buckets!, provision: denied, delete: denied } };
    const message = 'no The bucket "half-left" is the tenant\'s by now, but may lack its rules: delete it before another attempt.';
    await expect(rig.tenantService.createBucket({ bucket: 'half-left', tenant: 'globex' })).rejects.toMatchObject({
      code: 'access_denied',
      message,
    });
    expect(await rig.tenants.ownerOf('half-left')).toBe(globex.tenantUuid); // the bucket is there
  });

  it('deletes a bucket together with its records, or refuses', async () => {
    const file = await upload(rig, 'hello', { tenantContext: acme });
    expect(await codeOf(rig.tenantService.deleteBucket('acme-uploads'))).toBe('bucket_not_empty');
    await rig.storage.deleteFile({ bucket: file.bucket, key: file.storageKey }); // the bucket is empty, and the file tracked
    expect(await codeOf(rig.tenantService.deleteBucket('acme-uploads'))).toBe('bucket_not_empty');
    expect(await codeOf(rig.tenantService.deleteBucket('nowhere'))).toBe('no_such_bucket');
    await rig.tenantService.deleteBucket('acme-uploads', { force: true });
    expect(await buckets()).toEqual([]);
    expect(await codeOf(rig.files.get(file.id, admin))).toBe('file_not_found');
    expect(await rig.usage(acme)).toEqual({ bytes: 0, files: 0, reserved: 0 });
    expect((await rig.tenants.find('acme')).buckets).toEqual([]);
    await rig.files.delete((await upload(rig, 'hello', { tenantContext: acme })).id, admin);
    await rig.tenantService.deleteBucket('acme-uploads');
    expect(await buckets()).toEqual([]);
  });

  it('finishes deleting a bucket that is gone but known', async () => {
    await upload(rig, 'hello', { tenantContext: acme });
    await rig.storage.deleteBucket('acme-uploads', { force: true });
    await rig.tenantService.deleteBucket('acme-uploads', { force: true });
    expect(await rig.usage(acme)).toEqual({ bytes: 0, files: 0, reserved: 0 });
    expect(await rig.tenants.ownerOf('acme-uploads')).toBeUndefined();
    expect(await codeOf(rig.tenantService.deleteBucket('acme-uploads', { force: true }))).toBe('no_such_bucket');
    const nobodys = await upload(rig, 'hello');
    await rig.storage.deleteBucket(nobodys.bucket, { force: true });
    await rig.tenantService.deleteBucket(nobodys.bucket, { force: true });
    expect(await codeOf(rig.files.get(nobodys.id, admin))).toBe('file_not_found');
  });

  it('begins nothing for a caller who has left, or who says neither yes nor no', async () => {
    await rig.tenantService.provision(acme.tenantUuid, { tenantSlug: 'acme' });
    const file = await upload(rig, 'hello', { tenantContext: acme });
    const gone = { signal: AbortSignal.abort('before') };
    await expect(rig.tenantService.delete('acme', { force: true }, gone)).rejects.toBe('before');
    await expect(rig.tenantService.deleteBucket('acme-uploads', { force: true }, gone)).rejects.toBe('before');
    await expect(rig.tenantService.createBucket({ bucket: 'acme-more', tenant: 'acme' }, gone)).rejects.toBe('before');
    await expect(rig.tenantService.provision(globex.tenantUuid, { tenantSlug: 'globex' }, gone)).rejects.toBe('before');
    const noSignal = { signal: null } as never;
    const misread = { force: 'false' } as never;
    expect(await codeOf(rig.tenantService.delete('acme', { force: true }, noSignal))).toBe('invalid_argument');
    expect(await codeOf(rig.tenantService.deleteBucket('acme-uploads', { force: true }, noSignal))).toBe('invalid_argument');
    expect(await codeOf(rig.tenantService.delete('acme', misread))).toBe('validation_failed');
    expect(await codeOf(rig.tenantService.deleteBucket('acme-uploads', misread))).toBe('validation_failed');
    expect(await codeOf(rig.tenants.find('globex'))).toBe('tenant_not_found');
    expect((await rig.tenants.read('acme')).buckets).toEqual(['acme-uploads']);
    expect(await rig.files.get(file.id, admin)).toEqual(file);
  });

  it('deletes an empty tenant, whose names stay taken', async () => {
    await rig.tenantService.provision(acme.tenantUuid, { tenantSlug: 'acme' });
    await rig.tenants.update('acme', { tenantSlug: 'acme-inc' });
    await rig.tenantService.delete('acme-inc');
    expect(await buckets()).toEqual([]);
    expect(await rig.tenants.list()).toEqual({ tenants: [], nextCursor: null });
    for (const id of [acme.tenantUuid, 'acme-inc', 'acme']) {
      expect(await codeOf(rig.tenants.find(id))).toBe('tenant_not_found');
      expect(await codeOf(rig.tenantService.delete(id, { force: true }))).toBe('tenant_not_found');
    }
    for (const tenantSlug of ['acme', 'acme-inc', 'acme-new']) {
      expect(await codeOf(rig.tenants.resolve({ ...acme, tenantSlug }))).toBe('tenant_mismatch');
      expect(await codeOf(rig.tenants.create({ ...acme, tenantSlug }))).toBe('tenant_conflict');
      expect(await codeOf(upload(rig, 'x', { tenantContext: { ...acme, tenantSlug } }))).toBe('tenant_mismatch');
    }
    for (const tenantSlug of ['acme', 'acme-inc']) {
      expect(await codeOf(rig.tenants.resolve({ tenantUuid: 'another', tenantSlug }))).toBe('tenant_mismatch');
      expect(await codeOf(rig.tenants.create({ tenantUuid: 'another', tenantSlug }))).toBe('tenant_conflict');
    }
  });

  it('deletes a tenant that has nothing where there is no storage', async () => {
    await rig.tenants.create(acme);
    await rig.tenants.resolve(globex);
    const off = (): never => {
      throw storageError('storage_not_configured', 'off');
    };
    replaced = new Proxy(
      {},
      { get: (_target, key) => (typeof Reflect.get(inner, key) === 'function' ? off : new Proxy({}, { get: () => off })) },
    );
    await rig.tenantService.delete('acme');
    await rig.tenantService.delete('globex', { force: true });
    expect(await rig.tenants.list()).toEqual({ tenants: [], nextCursor: null });
    replaced = {};
  });

  it('keeps a tenant that is not empty, unless forced', async () => {
    const file = await upload(rig, 'hello', { tenantContext: acme });
    expect(await codeOf(rig.tenantService.delete('acme'))).toBe('tenant_not_empty');
    await rig.storage.deleteFile({ bucket: file.bucket, key: file.storageKey }); // the bucket is empty, and the file tracked
    expect(await codeOf(rig.tenantService.delete('acme'))).toBe('tenant_not_empty');
    expect(await rig.files.get(file.id, admin)).toEqual(file);
    await rig.files.delete(file.id, admin);
    const untracked = { bucket: 'acme-second', key: 'untracked' };
    await rig.tenantService.createBucket({ bucket: untracked.bucket, tenant: 'acme' });
    await rig.storage.uploadFile({ ...untracked, body: 'x' });
    expect(await codeOf(rig.tenantService.delete('acme'))).toBe('tenant_not_empty');
    expect(await buckets()).toEqual(['acme-second', 'acme-uploads']);
    await rig.storage.deleteFile(untracked);
    replaced = { list: () => Promise.reject(storageError('storage_unavailable', 'down')) };
    expect(await codeOf(rig.tenantService.delete('acme'))).toBe('storage_unavailable');
    replaced = {};
    const pending = await rig.files.createPresignedUpload({
      filename: 'a',
      contentType: 'text/plain',
      sizeBytes: 0,
      ownerId: 'alice',
      tenantContext: acme,
    });
    expect(await codeOf(rig.tenantService.delete('acme'))).toBe('tenant_not_empty');
    await rig.files.delete(pending.fileId, admin);
    const hidden = wrapBackend(inner).buckets!;
    replaced = { buckets: { ...hidden, delete: () => Promise.reject(storageError('bucket_not_empty', 'versions')) } };
    expect(await codeOf(rig.tenantService.delete('acme'))).toBe('tenant_not_empty');
    replaced = {};
    await upload(rig, 'it works on', { tenantContext: acme });
  });

  const waiting = async (): Promise<number> =>
    (await rig.query(`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)).length;

  it('keeps a tenant, and its upload that began while the deletion waited for it', async () => {
    await rig.tenants.create(acme);
    let deleting: Promise<string> | undefined;
    await rig.database.sql.begin(async (transaction) => {
      await reserveFile(transaction, {
        id: createIdGenerator()(),
        tenant: acme.tenantUuid,
        asked: 5,
        least: 5,
        onRecord: false,
        ownerId: 'alice',
        filename: 'a',
        contentType: 'text/plain',
        sizeBytes: 5,
        bucket: 'acme-uploads',
        storageKey: 'incoming/a',
        uploadKey: 'incoming/a',
        isPublic: false,
        sha256: null,
        metadata: '{}',
        expiresIn: null,
      });
      deleting = codeOf(rig.tenantService.delete('acme'));
      await expect.poll(waiting).toBe(1);
    });
    expect(await deleting).toBe('tenant_not_empty');
    expect(await rig.query('select status from files')).toEqual([{ status: 'pending' }]);
    await upload(rig, 'it works on', { tenantContext: acme });
  });

  it('renames a tenant and sets its quota while it is being deleted, one after the other', async () => {
    await rig.tenants.create(acme);
    const work: Promise<string>[] = [];
    await rig.database.sql.begin(async (transaction) => {
      await transaction`select 1 from tenant_usage for update`;
      work.push(codeOf(rig.tenantService.delete('acme')));
      await expect.poll(waiting).toBe(1);
      work.push(codeOf(rig.tenants.update('acme', { tenantSlug: 'renamed', quotaBytes: 5 })));
      await expect.poll(waiting).toBe(2);
    });
    const [deleted, renamed] = await Promise.all(work);
    expect(deleted).toBe('resolved');
    expect(['resolved', 'tenant_not_found']).toContain(renamed);
  });

  it("deletes a tenant with everything it has, wherever it lies, and nobody else's", async () => {
    const own = await upload(rig, 'own', { tenantContext: acme });
    const moved = await upload(rig, 'moved', { tenantContext: acme });
    const others = await upload(rig, 'others', { tenantContext: globex });
    await rig.storage.provisionBucket(sharedBucket);
    await rig.storage.copyFile({
      source: { bucket: moved.bucket, key: moved.storageKey },
      destination: { bucket: sharedBucket, key: 'moved' },
    });
    await rig.query(`update files set bucket = '${sharedBucket}', storage_key = 'moved' where id = '${moved.id}'`);
    await rig.storage.uploadFile({ bucket: sharedBucket, key: 'not-theirs', body: 'x' });
    await rig.files.createPresignedUpload({
      filename: 'a',
      contentType: 'text/plain',
      sizeBytes: 7,
      ownerId: 'alice',
      tenantContext: acme,
    });
    for (let index = 0; index < 510; index++) await upload(rig, 'many', { tenantContext: acme });
    await rig.tenantService.delete('acme', { force: true });
    expect(await rig.keys()).toEqual([`${others.bucket}/${others.storageKey}`, `${sharedBucket}/not-theirs`]);
    expect(await buckets()).not.toContain('acme-uploads');
    for (const { id } of [own, moved]) expect(await codeOf(rig.files.get(id, admin))).toBe('file_not_found');
    expect(await rig.usage(globex)).toEqual({ bytes: 6, files: 1, reserved: 0 });
    expect(await codeOf(rig.tenants.find('acme'))).toBe('tenant_not_found');
    await rig.files.sweep({ now: new Date(Date.now() + 2 * 86_400_000) });
    expect(await rig.query(`select tenant_uuid from files`)).toEqual([{ tenant_uuid: globex.tenantUuid }]);
  });

  it('continues where a deletion stopped, and accepts no files in the meantime', async () => {
    await upload(rig, 'hello', { tenantContext: acme });
    replaced = { buckets: { ...inner.buckets!, delete: () => Promise.reject(storageError('storage_unavailable', 'down')) } };
    expect(await codeOf(rig.tenantService.delete('acme', { force: true }))).toBe('storage_unavailable');
    expect(await rig.tenants.find('acme')).toMatchObject(acme);
    expect(await codeOf(upload(rig, 'x', { tenantContext: acme }))).toBe('tenant_mismatch');
    expect(await codeOf(rig.tenants.addBucket('acme', 'one-more'))).toBe('tenant_not_found');
    replaced = {};
    await rig.tenantService.delete('acme', { force: true });
    expect(await buckets()).toEqual([]);
    expect(await codeOf(rig.tenants.find('acme'))).toBe('tenant_not_found');
  });

  it('deletes no more rows once its caller has left, and the rest when it is repeated', async () => {
    await upload(rig, 'hello', { tenantContext: acme });
    await rig.query(`insert into files select (jsonb_populate_record(f, jsonb_build_object('id', gen_random_uuid(), 'bucket', '${sharedBucket}',
      'storage_key', 'files/' || n))).* from files f, generate_series(1, 1200) n`);
    await rig.query(`update tenant_usage set used_files = 1201, used_bytes = 1201 * 5 where tenant_uuid = '${acme.tenantUuid}'`);
    const caller = new AbortController();
    vi.spyOn(rig.storage, 'deleteFiles').mockImplementationOnce(async () => {
      caller.abort(new Error('left'));
      return { deleted: [], errors: [] };
    });
    await expect(rig.tenantService.delete('acme', { force: true }, { signal: caller.signal })).rejects.toThrow('left');
    expect((await rig.usage(acme)).files).toBe(701);
    await rig.tenantService.delete('acme', { force: true });
    expect(await rig.query(`select 1 from files where status <> 'deleted'`)).toEqual([]);
    expect(await codeOf(rig.tenants.find('acme'))).toBe('tenant_not_found');
  });

  it.each([false, true])('lets concurrent deletions succeed or report that the tenant is gone; force: %s', async (force) => {
    for (let round = 0; round < 5; round++) {
      const tenant = { tenantUuid: randomUUID(), tenantSlug: `at-once-${force}-${round}` };
      await rig.tenants.create(tenant);
      if (round > 0) await rig.tenantService.provision(tenant.tenantUuid, { tenantSlug: tenant.tenantSlug });
      if (force) await upload(rig, 'some text', { tenantContext: tenant });
      const calls = Array.from({ length: 8 }, () => rig.tenantService.delete(tenant.tenantUuid, { force }));
      const results = await Promise.allSettled(calls);
      expect(results.some(({ status }) => status === 'fulfilled')).toBe(true);
      for (const result of results) if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'tenant_not_found' });
    }
  });

  it('leaves nothing of uploads that run while their tenant is deleted', async () => {
    await rig.tenants.create(acme);
    await rig.tenants.bucketFor(acme);
    const uploads = Array.from({ length: 40 }, async (_, index) => {
      await new Promise((resolve) => setTimeout(resolve, index));
      return upload(rig, 'x'.repeat(100), { tenantContext: acme });
    });
    await new Promise((resolve) => setTimeout(resolve, 15));
    const [deleted, ...results] = await Promise.allSettled([rig.tenantService.delete('acme', { force: true }), ...uploads]);
    // An upload between two steps may bring the bucket back; deleting again then goes on.
    if (deleted?.status === 'rejected') await rig.tenantService.delete('acme', { force: true });
    for (const result of results) {
      if (result.status === 'rejected')
        expect(['tenant_not_found', 'tenant_mismatch', 'file_not_found', 'no_such_bucket']).toContain(
          (result.reason as { code: string }).code,
        );
    }
    expect(await rig.query(`select 1 from files where status <> 'deleted'`)).toEqual([]);
    expect(await rig.keys()).toEqual([]);
  });
});
