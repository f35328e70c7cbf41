import { memoryBackend, noContext, storageError } from '@coffer/storage-core';
import type { BucketOperations, StorageBackend } from '@coffer/storage-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { releaseBucket } from './tenants/rows.ts';
import { acme, admin, codeOf, defaultBucket, globex, openRig, presigning, processBeside, upload } from './testing/support.ts';
import type { Rig } from './testing/support.ts';

const bucket = 'acme-uploads';

describe.each(['embedded', 'debian'] as const)('processes that share a database and a storage (%s)', (server) => {
  let rig: Rig;
  let other: ReturnType<typeof processBeside>;
  let inner: StorageBackend;
  let replaced: Partial<StorageBackend>;
  beforeEach(async () => {
    inner = presigning(memoryBackend());
    replaced = {};
    rig = await openRig({
      server,
      backend: new Proxy(inner, { get: (target, key) => Reflect.get(replaced, key) ?? Reflect.get(target, key) }),
    });
    other = processBeside(rig);
  });
  afterEach(async () => {
    await other.close();
    await rig.close();
  });

  const buckets = async (): Promise<readonly string[]> => (await inner.buckets!.list(noContext)).map(({ name }) => name);
  const otherForm = (): Promise<string> =>
    codeOf(
      other.files.createPresignedUpload({
        filename: 'a.txt',
        contentType: 'text/plain',
        sizeBytes: 1,
        ownerId: 'alice',
        tenantContext: acme,
      }),
    );
  const otherUpload = (text: string): Promise<string> =>
    codeOf(other.files.uploadFile({ body: text, filename: 'a.txt', contentType: 'text/plain', ownerId: 'alice', tenantContext: acme }));
  /** What the other process does when a bucket is gone, and the one that deletes it does not know yet. */
  const afterDeletion = (act: () => Promise<unknown>): void => {
    const remove: BucketOperations['delete'] = async (name, options, ctx) => {
      await inner.buckets!.delete(name, options, ctx);
      replaced = {};
      await act();
    };
    replaced = { buckets: { ...inner.buckets!, delete: remove } };
  };

  it('do not recreate a bucket of a tenant that another process has deleted', async () => {
    await upload(rig, 'hello', { tenantContext: acme });
    expect(await other.tenants.bucketFor(acme)).toBe(bucket); // cached from now on
    await rig.tenantService.delete('acme', { force: true });
    expect(await codeOf(other.storage.uploadFile({ key: 'k', body: 'x', tenantContext: acme }))).toBe('tenant_mismatch');
    expect(await buckets()).toEqual([]);
    expect(await otherUpload('x')).toBe('tenant_mismatch');
    expect(await buckets()).toEqual([]);
  });

  it('do not recreate a deleted bucket for a file that is to be moved into it', async () => {
    const { id, storageKey: key } = await upload(rig, 'hello', { tenantContext: acme });
    expect(await other.tenants.bucketFor(acme)).toBe(bucket);
    await rig.tenantService.delete('acme', { force: true });
    const stray = { id, key, from: 'former', tenant: acme, to: bucket, sizeBytes: 5, etag: 'x', sha256: null, waits: false };
    expect(await codeOf(other.tenantService.relocateFile(stray, { provision: true, keepSeconds: 0 }))).toBe('no_such_bucket');
    expect(await buckets()).toEqual([]);
  });

  it('keep the default bucket without asking the database', async () => {
    await other.database.close();
    expect(await other.tenants.keeps(defaultBucket)).toBe(true);
  });

  it('do not recreate a bucket while its tenant is being deleted', async () => {
    await upload(rig, 'hello', { tenantContext: acme });
    expect(await other.tenants.bucketFor(acme)).toBe(bucket);
    afterDeletion(async () => other.storage.uploadFile({ key: 'k', body: 'x', tenantContext: acme }));
    await rig.tenantService.delete('acme', { force: true });
    expect(await buckets()).toEqual([]);
  });

  it('delete, with a tenant, a bucket that it gets in the meantime', async () => {
    await rig.tenantService.provision(acme.tenantUuid, { tenantSlug: 'acme' });
    replaced = {
      async list(name, options, ctx) {
        replaced = {};
        await other.tenantService.createBucket({ bucket: 'acme-more', tenant: 'acme' });
        return inner.list(name, options, ctx);
      },
    };
    await rig.tenantService.delete('acme');
    expect(await buckets()).toEqual([]);
  });

  it.each([
    ['as another one', (service: Rig['tenantService']) => service.createBucket({ bucket: 'acme-more', tenant: 'acme' })],
    ['as its own', (service: Rig['tenantService']) => service.provision('acme', { tenantSlug: 'acme' })],
  ])('leave no bucket that is created, %s, for a tenant that was deleted in the meantime', async (_how, make) => {
    await rig.tenants.create(acme);
    const create: BucketOperations['create'] = async (...parameters) => {
      replaced = {};
      await rig.tenantService.delete('acme', { force: true });
      return inner.buckets!.create(...parameters);
    };
    replaced = { buckets: { ...inner.buckets!, create } };
    expect(await codeOf(make(other.tenantService))).toBe('tenant_not_found');
    expect(await buckets()).toEqual([]);
  });

  it("recreate a tenant's bucket that another process has deleted, as the tenant's", async () => {
    await upload(rig, 'hello', { tenantContext: acme });
    expect(await other.tenants.bucketFor(acme)).toBe(bucket);
    await rig.tenantService.deleteBucket(bucket, { force: true });
    expect(await otherUpload('x')).toBe('resolved');
    expect(await rig.tenants.ownerOf(bucket)).toBe(acme.tenantUuid);
    expect(await upload(rig, 'y', { tenantContext: acme })).toMatchObject({ bucket });
  });

  it.each([
    ['an upload', () => otherUpload('x')],
    ['a form', () => otherForm()],
    ['uploads that come together', async () => (await Promise.all([otherUpload('x'), otherUpload('y'), otherUpload('z')])).join('-')],
  ])('recreate a bucket that they have used, and another process has deleted, for %s', async (_what, ask) => {
    expect([await otherUpload('x'), await otherForm()]).toEqual(['resolved', 'resolved']);
    await rig.tenantService.deleteBucket(bucket, { force: true });
    expect(new Set((await ask()).split('-'))).toEqual(new Set(['resolved']));
    expect([await buckets(), await rig.tenants.ownerOf(bucket)]).toEqual([[bucket], acme.tenantUuid]);
    expect((await rig.usage(acme)).bytes).toBe((await rig.files.list({ access: admin, status: 'available' })).files.length);
  });

  it.each([
    ['file', () => otherUpload('x')],
    ['form', () => otherForm()],
  ])('put no %s of the former tenant into a bucket that another one has by now', async (_what, ask) => {
    expect([await otherUpload('x'), await otherForm()]).toEqual(['resolved', 'resolved']);
    await rig.tenants.create(globex);
    await rig.tenantService.deleteBucket(bucket, { force: true });
    await rig.query(`insert into tenant_buckets (bucket, tenant_uuid) values ('${bucket}', '${globex.tenantUuid}')`);
    await rig.storage.createBucket(bucket);
    expect(await ask()).toBe('tenant_conflict');
    expect(await rig.keys()).toEqual([]);
    expect(await rig.usage(acme)).toEqual({ bytes: 0, files: 0, reserved: 0 });
  });

  describe('where another tenant is to get the bucket of a former one', () => {
    const cacheSeconds = 0.5;
    let former: ReturnType<typeof processBeside>;
    beforeEach(async () => {
      await rig.close();
      rig = await openRig({ server, backend: inner, cacheSeconds });
      former = processBeside(rig, { cacheSeconds });
      await rig.tenants.create(globex);
      await former.storage.uploadFile({ key: 'k', body: 'x', tenantContext: acme });
    });
    afterEach(() => former.close());
    /** What the process that has not heard of it finds in the former tenant's bucket, from now until it is somebody else's. */
    const seenUntil = async (given: Promise<unknown>): Promise<ReadonlySet<unknown>> => {
      const seen = new Set<unknown>();
      let isGiven = false;
      const done = given.finally(() => (isGiven = true));
      while (!isGiven) {
        const {
          buckets: [name],
        } = await former.tenants.resolve(acme);
        if (name === bucket) seen.add(await rig.tenants.ownerOf(name));
      }
      await done;
      const { buckets: left } = await former.tenants.resolve(acme);
      return left.includes(bucket) ? seen.add(await rig.tenants.ownerOf(bucket)) : seen;
    };

    it.each([
      ['as another one', () => rig.tenantService.createBucket({ bucket, tenant: 'globex' })],
      ['to be assigned only', () => rig.tenants.addBucket('globex', bucket)],
    ])("give it only when no process remembers that it was the former one's, %s", async (_how, give) => {
      await former.tenants.resolve(acme);
      await rig.tenantService.deleteBucket(bucket, { force: true });
      expect(await seenUntil(give())).toEqual(new Set([undefined]));
      expect(await rig.tenants.ownerOf(bucket)).toBe(globex.tenantUuid);
    });

    it('give it later, too, where the assignment had to wait for the deletion', async () => {
      await former.tenants.resolve(acme);
      const release = await rig.database.sql.reserve();
      await release`begin`;
      await releaseBucket(release, { bucket });
      const giving = rig.tenants.addBucket('globex', bucket);
      const waits = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
      await expect.poll(() => rig.query(waits)).toHaveLength(1);
      await former.tenants.resolve(acme);
      await release`commit`;
      release.release();
      expect(await seenUntil(giving)).toEqual(new Set([undefined]));
      expect(await rig.tenants.ownerOf(bucket)).toBe(globex.tenantUuid);
    });

    it('do not assign it for a caller that has left while it waited: the next attempt would lose it when that is undone', async () => {
      await rig.tenantService.deleteBucket(bucket, { force: true });
      const caller = new AbortController();
      const left = rig.tenantService.createBucket({ bucket, tenant: 'globex' }, { signal: caller.signal });
      setTimeout(() => caller.abort(new Error('left')), 100);
      await expect(left).rejects.toThrow('left');
      const freed = await rig.query('select bucket, tenant_uuid from freed_buckets');
      expect(freed).toEqual([{ bucket, tenant_uuid: acme.tenantUuid }]); // not also taken from the caller's tenant
      expect(await rig.tenantService.createBucket({ bucket, tenant: 'globex' })).toMatchObject({ name: bucket });
    });

    it('give it back to the former one at once', async () => {
      await rig.tenantService.deleteBucket(bucket, { force: true });
      const others = rig.tenants.addBucket('globex', bucket);
      others.catch(() => {});
      expect(await rig.tenants.addBucket('acme', bucket)).toBe(true);
      expect(await rig.tenants.ownerOf(bucket)).toBe(acme.tenantUuid);
      expect(await codeOf(others)).toBe('tenant_conflict');
    });
  });

  it('leave a tenant a bucket that is recreated while it is deleted, but none of the files deleted with it', async () => {
    await upload(rig, 'hello', { tenantContext: acme });
    expect(await other.tenants.bucketFor(acme)).toBe(bucket);
    afterDeletion(async () => other.storage.uploadFile({ key: 'k', body: 'x', tenantContext: acme }));
    await rig.tenantService.deleteBucket(bucket, { force: true });
    expect(await rig.tenants.ownerOf(bucket)).toBe(acme.tenantUuid);
    expect(await upload(rig, 'y', { tenantContext: acme })).toMatchObject({ bucket });
    expect(await rig.usage(acme)).toEqual({ bytes: 1, files: 1, reserved: 0 });
  });

  it('leave a tenant a bucket that was recreated with an object during a deletion without force', async () => {
    await rig.tenantService.provision(acme.tenantUuid, { tenantSlug: 'acme' });
    expect(await other.tenants.bucketFor(acme)).toBe(bucket);
    afterDeletion(async () => other.storage.uploadFile({ key: 'k', body: 'x', tenantContext: acme }));
    expect(await codeOf(rig.tenantService.delete('acme'))).toBe('tenant_not_empty');
    expect(await rig.tenants.ownerOf(bucket)).toBe(acme.tenantUuid);
    expect(await upload(rig, 'y', { tenantContext: acme })).toMatchObject({ bucket });
  });

  it('delete, with a tenant, a recreated bucket that could not be deleted at first', async () => {
    await upload(rig, 'hello', { tenantContext: acme });
    expect(await other.tenants.bucketFor(acme)).toBe(bucket);
    afterDeletion(async () => {
      await other.storage.uploadFile({ key: 'k', body: 'x', tenantContext: acme });
      const remove = (): Promise<void> => Promise.reject(storageError('storage_unavailable', 'Away.'));
      replaced = { buckets: { ...inner.buckets!, delete: remove } };
    });
    expect(await codeOf(rig.tenantService.delete('acme', { force: true }))).toBe('storage_unavailable');
    replaced = {};
    await rig.tenantService.delete('acme', { force: true });
    expect(await buckets()).toEqual([]);
  });

  it('delete, with a tenant, a recreated bucket even if the caller went away in the meantime', async () => {
    await upload(rig, 'hello', { tenantContext: acme });
    expect(await other.tenants.bucketFor(acme)).toBe(bucket);
    const cancel = new AbortController();
    const head: BucketOperations['head'] = async (name, ctx) => {
      ctx.signal?.throwIfAborted();
      return inner.buckets!.head(name, ctx);
    };
    afterDeletion(async () => {
      await other.storage.uploadFile({ key: 'k', body: 'x', tenantContext: acme });
      cancel.abort(new Error('gone'));
      replaced = { buckets: { ...inner.buckets!, head } };
    });
    await rig.tenantService.delete('acme', { force: true }, { signal: cancel.signal });
    expect(await buckets()).toEqual([]);
  });

  it.each([
    ['with its tenant', (service: Rig['tenantService']) => service.delete('acme', { force: true })],
    ['alone', (service: Rig['tenantService']) => service.deleteBucket(bucket, { force: true })],
  ])('delete %s a recreated bucket that could not be seen at first', async (_how, remove) => {
    await upload(rig, 'hello', { tenantContext: acme });
    expect(await other.tenants.bucketFor(acme)).toBe(bucket);
    afterDeletion(async () => {
      await other.storage.uploadFile({ key: 'k', body: 'x', tenantContext: acme });
      const head = (): Promise<never> => Promise.reject(storageError('storage_unavailable', 'Away.'));
      replaced = { buckets: { ...inner.buckets!, head } };
    });
    expect(await codeOf(remove(rig.tenantService))).toBe('storage_unavailable');
    replaced = {};
    await remove(rig.tenantService);
    expect(await buckets()).toEqual([]);
  });

  it('leave a deleted bucket to another tenant that has got it since', async () => {
    await rig.tenantService.provision(acme.tenantUuid, { tenantSlug: 'acme' });
    const { tenant } = await rig.tenants.create({ tenantUuid: 'another', tenantSlug: 'another' });
    afterDeletion(async () => {
      const head: BucketOperations['head'] = async (...parameters) => {
        replaced = {};
        await rig.query(`update freed_buckets set freed_at = now() - interval '1 minute'`);
        await other.tenantService.createBucket({ bucket, tenant: 'another' });
        return inner.buckets!.head(...parameters);
      };
      replaced = { buckets: { ...inner.buckets!, head } };
    });
    await rig.tenantService.deleteBucket(bucket, { force: true });
    expect([await buckets(), await rig.tenants.ownerOf(bucket)]).toEqual([[bucket], tenant.tenantUuid]);
  });

  it('keep no record of a file whose bucket was deleted during its first upload', async () => {
    await rig.tenantService.provision(acme.tenantUuid, { tenantSlug: 'acme' });
    let id = '';
    const remove: BucketOperations['delete'] = async (...parameters) => {
      replaced = {};
      ({ id } = await other.files.uploadFile({
        body: 'x',
        filename: 'a',
        contentType: 'text/plain',
        ownerId: 'alice',
        tenantContext: acme,
      }));
      await inner.buckets!.delete(...parameters);
    };
    replaced = { buckets: { ...inner.buckets!, delete: remove } };
    await rig.tenantService.deleteBucket(bucket, { force: true });
    expect(await codeOf(rig.files.get(id, admin))).toBe('file_not_found');
    expect(await rig.usage(acme)).toEqual({ bytes: 0, files: 0, reserved: 0 });
  });
});
