import { hasCode, memoryBackend, storageError } from '@coffer/storage-core';
import type { StorageBackend } from '@coffer/storage-core';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { FileRecord, Relocation, StrayFile } from './index.ts';
import { connectDatabase, TenantRepository, TenantService } from './index.ts';
import {
  acme,
  admin,
  bytesOf,
  codeOf,
  defaultBucket,
  globex,
  openRig,
  presigning,
  sharedBucket,
  upload,
  variant,
} from './testing/support.ts';
import type { Rig } from './testing/support.ts';

const day = 86_400;
const inDays = (days: number): Date => new Date(Date.now() + days * day * 1000);
const keep = { keepSeconds: 7 * day, provision: true };

describe.each(['embedded', 'debian'] as const)('moving files to the bucket of their tenant on PostgreSQL (%s)', (server) => {
  let rig: Rig;
  let multiTenancy = false;
  const open = async (backend: StorageBackend = presigning(memoryBackend())): Promise<void> => {
    multiTenancy = false;
    rig = await openRig({
      server,
      backend,
      cacheSeconds: 0,
      storage: {
        defaultBucket,
        resolveBucket: async ({ bucket, tenant }) => {
          if (bucket !== undefined) return { bucket, because: 'explicit' };
          if (!multiTenancy) return { bucket: defaultBucket, because: 'default' };
          if (tenant === undefined) return { bucket: sharedBucket, because: 'shared' };
          return { bucket: await rig.tenants.bucketFor(tenant), because: 'tenant_mapping' };
        },
      },
    });
    for (const tenant of [acme, globex]) await rig.tenants.create(tenant);
  };
  beforeEach(() => open());
  afterEach(() => rig.close());

  const strays = async (service = rig.tenantService): Promise<readonly StrayFile[]> => {
    const found: StrayFile[] = [];
    for await (const file of service.strayFiles()) found.push(file);
    return found;
  };
  const moveAll = async (options = keep, service = rig.tenantService): Promise<readonly Relocation[]> => {
    const results: Relocation[] = [];
    for (const file of await strays(service)) results.push(await service.relocateFile(file, options));
    return results;
  };
  const now = (file: FileRecord): Promise<FileRecord> => rig.files.get(file.id, admin);

  it('takes what lies outside, and leaves the rest', async () => {
    const [a, b, none] = [
      await upload(rig, 'of acme', { tenantContext: acme }),
      await upload(rig, 'of globex', { tenantContext: globex }),
      await upload(rig, 'of nobody'),
    ];
    multiTenancy = true;
    const own = await upload(rig, 'in its place', { tenantContext: acme });
    await rig.tenantService.createBucket({ bucket: 'acme-second', tenant: 'acme' });
    expect(await strays()).toMatchObject([
      { id: a.id, tenant: acme, from: defaultBucket, to: 'acme-uploads', sizeBytes: 7, waits: false },
      { id: b.id, tenant: globex, from: defaultBucket, to: 'globex-uploads' },
    ]);
    expect(await moveAll()).toEqual(['moved', 'moved']);
    for (const [file, bucket] of [
      [a, 'acme-uploads'],
      [b, 'globex-uploads'],
      [none, defaultBucket],
      [own, 'acme-uploads'],
    ] as const) {
      const { bucket: _former, ...unchanged } = file;
      expect(await now(file)).toEqual({ ...unchanged, bucket });
      expect((await bytesOf(rig, await now(file))).length).toBe(file.sizeBytes);
    }
    expect(await strays()).toEqual([]);
    expect(await rig.usage(acme)).toEqual({ bytes: 19, files: 2, reserved: 0 });
  });

  it('keeps the old object for URLs already handed out, and then has the sweep remove it', async () => {
    const file = await upload(rig, 'kept', { tenantContext: acme });
    multiTenancy = true;
    await moveAll();
    const former = `${defaultBucket}/${file.storageKey}`;
    await rig.files.sweep({ now: inDays(6.9) });
    expect(await rig.keys()).toContain(former);
    expect(await rig.files.sweep({ now: inDays(7.1) })).toMatchObject({ deleted: 1, retained: 0 });
    expect(await rig.keys()).toEqual([`acme-uploads/${file.storageKey}`]);
    expect(await bytesOf(rig, await now(file))).toBe('kept');
    expect(await rig.query('select 1 from files')).toHaveLength(1);
  });

  it('removes the old object together with the file, or with its tenant', async () => {
    const [one, other, theirs] = [
      await upload(rig, 'one', { tenantContext: acme }),
      await upload(rig, 'other', { tenantContext: acme }),
      await upload(rig, 'theirs', { tenantContext: globex }),
    ];
    multiTenancy = true;
    expect(await moveAll()).toEqual(['moved', 'moved', 'moved']);
    const keysOf = (...files: readonly FileRecord[]): readonly string[] =>
      files.flatMap(({ storageKey }) => [`${defaultBucket}/${storageKey}`]).toSorted();
    const kept = async (): Promise<readonly string[]> => (await rig.keys()).filter((key) => key.startsWith(`${defaultBucket}/`)).toSorted();
    expect(await kept()).toEqual(keysOf(one, other, theirs));
    await rig.files.delete(one.id, admin);
    expect(await kept()).toEqual(keysOf(other, theirs));
    expect(await rig.query(`select 1 from files where storage_key = '${one.storageKey}'`)).toEqual([]);
    await rig.tenantService.delete('acme', { force: true });
    expect(await kept()).toEqual(keysOf(theirs));
    expect(await bytesOf(rig, await now(theirs))).toBe('theirs');
    await rig.files.sweep({ olderThanSeconds: 0 });
    expect(await kept()).toEqual(keysOf(theirs));
    expect(await rig.query(`select 1 from files where tenant_uuid = '${acme.tenantUuid}'`)).toEqual([]);
  });

  it('removes the old object also when the file is deleted at the moment at which it moves', async () => {
    const file = await upload(rig, 'moves', { tenantContext: acme });
    multiTenancy = true;
    const [stray] = await strays();
    const blocker = connectDatabase({ url: rig.url, max: 1 });
    const waiting = async (): Promise<number> =>
      (await rig.query(`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)).length;
    const [moving, deleting] = await blocker.sql.begin(async (transaction) => {
      const { copy } = rig.backend;
      vi.spyOn(rig.backend, 'copy').mockImplementationOnce(async (...call) => {
        await transaction`select 1 from files where id = ${file.id} for update`;
        return copy(...call);
      });
      const moves = rig.tenantService.relocateFile(stray!, keep);
      await expect.poll(waiting).toBe(1);
      const deletes = rig.files.delete(file.id, admin);
      await expect.poll(waiting).toBe(2);
      return [{ moves }, { deletes }] as const;
    });
    expect(await moving.moves).toBe('moved');
    await deleting.deletes;
    await blocker.close();
    expect(await rig.keys()).toEqual([]);
    expect(await rig.query('select 1 from files')).toEqual([]);
  });

  it('leaves nothing for the next day when nothing is to be kept', async () => {
    const file = await upload(rig, 'moved', { tenantContext: acme });
    await moveAll({ ...keep, keepSeconds: 0 });
    expect(await rig.files.sweep()).toMatchObject({ deleted: 1 });
    expect(await rig.keys()).toEqual([`acme-uploads/${file.storageKey}`]);
  });

  it('is read where it now is when it moves while it is being opened', async () => {
    await rig.close();
    const inner = presigning(memoryBackend());
    let move: (() => Promise<unknown>) | undefined;
    // The file moves, and nothing stays behind, after its record was read and before its object is.
    const moved = async (): Promise<void> => {
      const run = move;
      move = undefined;
      if (run !== undefined) expect([await run(), await rig.files.sweep()]).toMatchObject([['moved'], { deleted: 1 }]);
    };
    await open(
      variant(inner, {
        get: (...call) => moved().then(() => inner.get(...call)),
        head: (...call) => moved().then(() => inner.head(...call)),
      }),
    );
    const opening: readonly ((file: FileRecord) => Promise<{ readonly file: FileRecord }>)[] = [
      ({ id }) => rig.files.open(id, {}, admin),
      ({ id }) => rig.files.openPublic(id),
      ({ id }) => rig.files.head(id, admin),
      ({ id }) => rig.files.headPublic(id),
    ];
    for (const opened of opening) {
      multiTenancy = false;
      const file = await upload(rig, 'moves', { tenantContext: acme, isPublic: true });
      multiTenancy = true;
      move = () => moveAll({ ...keep, keepSeconds: 0 });
      expect((await opened(file)).file).toEqual({ ...file, bucket: 'acme-uploads' });
    }
  });

  it('shows nobody but an admin what is left for the sweep', async () => {
    await upload(rig, 'moved', { tenantContext: acme });
    await moveAll();
    const user = { subject: 'alice', role: 'user', tenant: acme.tenantUuid } as const;
    expect((await rig.files.list({ access: user, status: 'deleted' })).files).toEqual([]);
    expect((await rig.files.list({ access: user })).files).toHaveLength(1);
  });

  it('continues after a kill at any step, and leaves nothing behind', async () => {
    const dead = new Error('killed');
    const steps = ['copy', 'head'] as const;
    for (const step of steps) {
      await rig.close();
      let lives = false;
      const inner = presigning(memoryBackend());
      await open(
        variant(inner, {
          // Fails after the step, as a kill would.
          copy: async (...call) => {
            const copied = await inner.copy(...call);
            if (!lives && step === 'copy') throw dead;
            return copied;
          },
          head: async (at, ctx) => {
            const info = await inner.head(at, ctx);
            if (!lives && step === 'head' && at.bucket === 'acme-uploads') throw dead;
            return info;
          },
        }),
      );
      const file = await upload(rig, step, { tenantContext: acme });
      multiTenancy = true;
      await expect(moveAll()).rejects.toBe(dead);
      expect(await now(file)).toEqual(file);
      expect(await rig.keys()).toHaveLength(2);
      lives = true;
      expect(await moveAll()).toEqual(['moved']);
      await rig.files.sweep({ now: inDays(9) });
      expect(await rig.keys()).toEqual([`acme-uploads/${file.storageKey}`]);
      expect(await bytesOf(rig, await now(file))).toBe(step);
    }
  });

  it('has the sweep remove the copy of a killed process when the file is deleted before the next attempt', async () => {
    await rig.close();
    const inner = presigning(memoryBackend());
    await open(variant(inner, { head: () => Promise.reject(new Error('killed')) }));
    const file = await upload(rig, 'gone', { tenantContext: acme });
    await expect(moveAll()).rejects.toThrow('killed');
    await rig.files.delete(file.id, admin);
    expect(await rig.keys()).toEqual([`acme-uploads/${file.storageKey}`]);
    expect(await strays()).toEqual([]);
    await rig.files.sweep({ now: inDays(3) });
    expect(await rig.keys()).toEqual([]);
    expect(await rig.query('select 1 from files')).toEqual([]);
  });

  it('shares the work with other processes: every file is moved once, and none is lost', async () => {
    const files: FileRecord[] = [];
    for (let index = 0; index < 60; index++)
      files.push(await upload(rig, `file ${index}`, { tenantContext: index % 2 === 0 ? acme : globex }));
    multiTenancy = true;
    const databases = [1, 2, 3].map(() => connectDatabase({ url: rig.url, max: 3 }));
    const services = databases.map((database) => {
      const tenants = new TenantRepository({
        database,
        bucketNameFor: ({ tenantSlug }) => `${tenantSlug}-uploads`,
        reservedBuckets: [defaultBucket],
      });
      return new TenantService({ database, tenants, storage: rig.storage });
    });
    const deleting = Promise.all(files.slice(0, 10).map(({ id }) => rig.files.delete(id, admin)));
    const sweeping = (async () => {
      for (let round = 0; round < 20; round++) await rig.files.sweep({ olderThanSeconds: 0 });
    })();
    const results = (await Promise.all(services.map((service) => moveAll(keep, service)))).flat();
    await Promise.all([deleting, sweeping]);
    await Promise.all(databases.map((database) => database.close()));
    expect(results.filter((result) => result === 'moved').length).toBeLessThanOrEqual(60);
    await moveAll();
    await rig.files.sweep({ now: inDays(30) });
    const left = files.slice(10);
    for (const file of left) expect(await bytesOf(rig, await now(file))).toBe(`file ${files.indexOf(file)}`);
    expect(await rig.keys()).toEqual(
      left.map((file, index) => `${index % 2 === 0 ? 'acme' : 'globex'}-uploads/${file.storageKey}`).toSorted(),
    );
    expect(await rig.query('select 1 from files')).toHaveLength(50);
    for (const tenant of [acme, globex]) await rig.usage(tenant);
  });

  it.each([
    ['', undefined],
    [', and it cannot be removed now', 'refusing'],
    [', and the caller leaves', 'leaving'],
  ] as const)(
    'leaves no copy behind when another process has moved the file, and it was deleted, before the copy was made%s',
    async (_how, fault) => {
      await rig.close();
      const inner = presigning(memoryBackend());
      const caller = new AbortController();
      let [whileCopying, isRefusing]: [(() => Promise<unknown>) | undefined, boolean] = [undefined, false];
      await open(
        variant(inner, {
          copy: async (source, destination, options, ctx) => {
            const run = whileCopying;
            whileCopying = undefined;
            if (run === undefined) return inner.copy(source, destination, options, ctx);
            await run(); // the provider has read the source by now
            return inner.put(destination, { kind: 'buffer', data: Buffer.from('doubled') }, { contentType: 'text/plain' }, {});
          },
          delete: (...call) => (isRefusing ? Promise.reject(storageError('storage_unavailable', 'not now')) : inner.delete(...call)),
        }),
      );
      const file = await upload(rig, 'doubled', { tenantContext: acme });
      multiTenancy = true;
      const [stray] = await strays();
      whileCopying = async () => {
        expect(await moveAll()).toEqual(['moved']);
        await rig.files.delete(file.id, admin);
        isRefusing = fault === 'refusing';
        if (fault === 'leaving') caller.abort(new Error('left'));
      };
      const moving = rig.tenantService.relocateFile(stray!, keep, { signal: caller.signal });
      if (fault === 'leaving') await expect(moving).rejects.toThrow('left');
      else expect(await moving).toBe('gone');
      expect(await rig.keys()).toHaveLength(isRefusing ? 1 : 0);
      isRefusing = false;
      await rig.files.sweep({ now: inDays(30) });
      expect(await rig.keys()).toEqual([]);
      expect(await rig.query('select 1 from files')).toEqual([]);
    },
  );

  it.each(['after', 'before'])(
    'leaves a file where it is when the bucket of its tenant is deleted once the copy is made, and it would move %s that has ended',
    async (when) => {
      await rig.close();
      const inner = presigning(memoryBackend());
      const [copied, deleted] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      await open(
        variant(inner, {
          head: async (at, ctx) => {
            const info = await inner.head(at, ctx);
            copied.resolve();
            await deleted.promise;
            return info;
          },
        }),
      );
      const file = await upload(rig, 'stays', { tenantContext: acme });
      multiTenancy = true;
      const moving = moveAll();
      await copied.promise;
      const removeBucket = rig.tenants.removeBucket.bind(rig.tenants);
      vi.spyOn(rig.tenants, 'removeBucket').mockImplementationOnce(async (bucket) => {
        if (when === 'before') deleted.resolve();
        if (when === 'before') await moving;
        await removeBucket(bucket);
      });
      await rig.tenantService.deleteBucket('acme-uploads', { force: true });
      deleted.resolve();
      expect(await moving).toEqual(['waits']);
      expect(await bytesOf(rig, await now(file))).toBe('stays');
      expect(await moveAll()).toEqual(['moved']);
      expect(await bytesOf(rig, await now(file))).toBe('stays');
    },
  );

  it.each(['place is claimed', 'copy is made', 'copy is made by a process that is killed then'])(
    'leaves a file where it is when the empty bucket of its tenant is deleted before the %s, and is now of no tenant',
    async (when) => {
      await rig.close();
      const inner = presigning(memoryBackend());
      const killed = Promise.withResolvers<string>();
      let beforeCopying: (() => Promise<unknown>) | undefined;
      await open(
        variant(inner, {
          copy: async (...call) => {
            const run = beforeCopying;
            beforeCopying = undefined;
            await run?.();
            const copied = await inner.copy(...call);
            if (!when.endsWith('killed then')) return copied;
            killed.resolve('killed');
            return new Promise(() => {});
          },
        }),
      );
      const file = await upload(rig, 'stays', { tenantContext: acme });
      multiTenancy = true;
      const loseBucket = async (): Promise<void> => {
        await rig.tenantService.deleteBucket('acme-uploads');
        await rig.storage.createBucket('acme-uploads');
      };
      if (when === 'place is claimed') vi.spyOn(rig.tenants, 'keeps').mockImplementationOnce(async () => loseBucket().then(() => true));
      else beforeCopying = loseBucket;
      expect(await Promise.race([moveAll(), killed.promise])).toEqual(when.endsWith('killed then') ? 'killed' : ['waits']);
      expect(await now(file)).toMatchObject({ bucket: defaultBucket });
      expect(await bytesOf(rig, await now(file))).toBe('stays');
      await rig.files.sweep({ now: inDays(30) });
      expect(await rig.keys()).toEqual([`${defaultBucket}/${file.storageKey}`]);
      expect(await rig.query('select 1 from files')).toHaveLength(1);
    },
  );

  it.each(['sweep', 'deletion of the bucket'])(
    'leaves a file where it is when a %s has removed the copy that is about to become it, and another process gives up its own',
    async (how) => {
      await rig.close();
      const inner = presigning(memoryBackend());
      const [verified, swept] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      let copies = 0;
      await open(
        variant(inner, {
          head: async (...call) => {
            const info = await inner.head(...call);
            verified.resolve();
            await swept.promise;
            return info;
          },
          copy: async (...call) => {
            if (++copies === 1) return inner.copy(...call);
            if (how !== 'sweep') await rig.tenantService.deleteBucket('acme-uploads', { force: true });
            else await rig.query(`update files set sweep_at = now() - interval '3 days' where status = 'deleted'`);
            await rig.files.sweep();
            throw storageError('storage_unavailable', 'not now');
          },
        }),
      );
      const file = await upload(rig, 'stays', { tenantContext: acme });
      multiTenancy = true;
      const [stray] = await strays();
      const slow = rig.tenantService.relocateFile(stray!, keep);
      await verified.promise;
      expect(await codeOf(rig.tenantService.relocateFile(stray!, keep))).toBe('storage_unavailable');
      swept.resolve();
      expect(await slow).toBe('waits');
      expect(await bytesOf(rig, await now(file))).toBe('stays');
    },
  );

  it.each([
    ['of the same age', {}, {}],
    ['of another age', {}, { olderThanSeconds: 0 }],
    ['that began later', { now: new Date(Date.now() - 20 * 60_000) }, {}],
    ['by an earlier clock', { now: inDays(2) }, {}],
  ] as const)('is not moved to where a sweep is clearing, while there is another one %s', async (_how, first, second) => {
    await rig.close();
    const inner = presigning(memoryBackend());
    const [removing, goesOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let [isKilled, removals] = [true, 0];
    await open(
      variant(inner, {
        head: (...call) => (isKilled ? Promise.reject(new Error('killed')) : inner.head(...call)),
        delete: async (...call) => {
          if (++removals === 1) removing.resolve();
          if (removals === 1) await goesOn.promise;
          return inner.delete(...call);
        },
      }),
    );
    const file = await upload(rig, 'stays', { tenantContext: acme });
    multiTenancy = true;
    await expect(moveAll()).rejects.toThrow('killed');
    isKilled = false;
    await rig.query(`update files set sweep_at = now() - interval '2 days' where status = 'deleted'`);
    const sweeping = rig.files.sweep(first);
    await removing.promise;
    expect(await rig.files.sweep({ ...second, dryRun: true })).toMatchObject({ deleted: 0 });
    expect(await rig.files.sweep(second)).toMatchObject({ deleted: 0, retained: 0 });
    expect(await moveAll()).toEqual(['waits']);
    goesOn.resolve();
    expect(await sweeping).toMatchObject({ deleted: 1 });
    expect(await bytesOf(rig, await now(file))).toBe('stays');
    expect(await moveAll()).toEqual(['moved']);
    expect(await bytesOf(rig, await now(file))).toBe('stays');
  });

  it('leaves a file where it is when another process claims its place anew, and fails, after the copy went with its bucket', async () => {
    await rig.close();
    const inner = presigning(memoryBackend());
    const [verified, deleted] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let copies = 0;
    await open(
      variant(inner, {
        head: async (...call) => {
          const info = await inner.head(...call);
          verified.resolve();
          await deleted.promise;
          return info;
        },
        copy: (...call) => (++copies === 1 ? inner.copy(...call) : Promise.reject(storageError('storage_unavailable', 'not now'))),
      }),
    );
    const file = await upload(rig, 'stays', { tenantContext: acme });
    multiTenancy = true;
    const [stray] = await strays();
    const slow = rig.tenantService.relocateFile(stray!, keep);
    await verified.promise;
    await rig.tenantService.deleteBucket('acme-uploads', { force: true });
    expect(await codeOf(rig.tenantService.relocateFile(stray!, keep))).toBe('storage_unavailable');
    deleted.resolve();
    expect(await slow).toBe('waits');
    expect(await bytesOf(rig, await now(file))).toBe('stays');
  });

  it('leaves a file where it is when the bucket that is deleted became that of its tenant only after the deletion had begun', async () => {
    await rig.close();
    const inner = presigning(memoryBackend());
    const [verified, deleted] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let moving: Promise<Relocation> | undefined;
    await open(
      variant(inner, {
        head: async (...call) => {
          const info = await inner.head(...call);
          verified.resolve();
          await deleted.promise;
          return info;
        },
        buckets: {
          ...inner.buckets!,
          delete: async (...call) => {
            moving = rig.tenantService.relocateFile(stray!, keep);
            await verified.promise;
            return inner.buckets!.delete(...call);
          },
        },
      }),
    );
    const file = await upload(rig, 'stays', { tenantContext: acme });
    await rig.storage.createBucket('acme-uploads');
    multiTenancy = true;
    const [stray] = await strays();
    const removeBucket = rig.tenants.removeBucket.bind(rig.tenants);
    vi.spyOn(rig.tenants, 'removeBucket').mockImplementationOnce(async (bucket) => {
      deleted.resolve();
      expect(await moving).toBe('waits');
      await removeBucket(bucket);
    });
    await rig.tenantService.deleteBucket('acme-uploads', { force: true });
    expect(await bytesOf(rig, await now(file))).toBe('stays');
  });

  it('moves back and forth, and waits where a sweep clears the place', async () => {
    const file = await upload(rig, 'travels', { tenantContext: acme });
    await moveAll();
    await rig.query(`update tenant_buckets set bucket = 'acme-other'`);
    await rig.query(`update files set sweep_at = now() + interval '10 minutes' where status = 'deleted' and bucket = '${defaultBucket}'`);
    expect(await moveAll()).toEqual(['moved']); // acme-uploads -> acme-other
    await rig.query(`update tenant_buckets set bucket = 'acme-uploads'`);
    expect(await moveAll()).toEqual(['moved']); // and back, over what was left there
    await rig.query(`update tenant_buckets set bucket = '${defaultBucket}'`);
    expect(await moveAll()).toEqual(['waits']); // a sweep may have taken that place
    await rig.files.sweep({ now: inDays(30) });
    expect(await rig.keys()).toEqual([`acme-uploads/${file.storageKey}`]);
    expect(await moveAll()).toEqual(['moved']);
    expect(await bytesOf(rig, await now(file))).toBe('travels');
  });

  it('lets a presigned form finish in the bucket it was made for', async () => {
    const presigned = await rig.files.createPresignedUpload({
      filename: 'a',
      contentType: 'text/plain',
      sizeBytes: 3,
      ownerId: 'alice',
      tenantContext: acme,
    });
    const incoming = { bucket: defaultBucket, key: `incoming/${presigned.fileId}` };
    const put = (): Promise<unknown> => rig.storage.uploadFile({ ...incoming, body: 'abc', contentType: 'text/plain' });
    await put();
    expect(await strays()).toEqual([]); // it is pending, and will be completed where it is
    const file = await rig.files.completeUpload(presigned.fileId, admin);
    multiTenancy = true;
    expect(await moveAll()).toEqual(['moved']);
    await put(); // the form is still valid
    await rig.files.sweep({ now: inDays(10) });
    expect(await rig.keys()).toEqual([`acme-uploads/${file.storageKey}`]);
    expect(await bytesOf(rig, await now(file))).toBe('abc');
  });

  it('leaves a file whose completion was tried twice to a later day', async () => {
    const presigned = await rig.files.createPresignedUpload({
      filename: 'a',
      contentType: 'text/plain',
      sizeBytes: 3,
      ownerId: 'alice',
      tenantContext: acme,
    });
    await rig.storage.uploadFile({ bucket: defaultBucket, key: `incoming/${presigned.fileId}`, body: 'abc', contentType: 'text/plain' });
    await rig.query('update files set complete_attempts = 1');
    const file = await rig.files.completeUpload(presigned.fileId, admin);
    expect(await moveAll()).toEqual(['waits']);
    await rig.files.sweep({ now: inDays(2) });
    expect(await moveAll()).toEqual(['moved']);
    expect(await bytesOf(rig, await now(file))).toBe('abc');
  });

  it('refuses an object that is not the recorded one, and tells of one that is missing', async () => {
    const [changed, lost] = [await upload(rig, 'right', { tenantContext: acme }), await upload(rig, 'lost', { tenantContext: acme })];
    await rig.storage.uploadFile({ bucket: defaultBucket, key: changed.storageKey, body: 'wrong' });
    await rig.storage.deleteFile({ bucket: defaultBucket, key: lost.storageKey });
    const codes: string[] = [];
    for (const file of await strays()) codes.push(await codeOf(rig.tenantService.relocateFile(file, keep)));
    expect(codes).toEqual(['checksum_mismatch', 'file_not_found']);
    expect(await now(changed)).toEqual(changed);
  });

  it('accepts another ETag of the copy once the bytes have been compared', async () => {
    await rig.close();
    const inner = presigning(memoryBackend());
    let spoil = false;
    await open(
      variant(inner, {
        head: async (at, ctx) => {
          const info = await inner.head(at, ctx);
          return at.bucket === defaultBucket ? info : { ...info, etag: `${info.etag}-2` };
        },
        get: async (at, options, ctx) => {
          if (spoil && at.bucket !== defaultBucket)
            await inner.put(at, { kind: 'buffer', data: Buffer.from('spoilt') }, { contentType: 'text/plain' }, {});
          return inner.get(at, options, ctx);
        },
      }),
    );
    const file = await upload(rig, 'parts!', { tenantContext: acme });
    spoil = true;
    expect(await codeOf(moveAll())).toBe('checksum_mismatch');
    spoil = false;
    expect(await moveAll()).toEqual(['moved']);
    expect(await now(file)).toMatchObject({ bucket: 'acme-uploads', etag: `${file.etag}-2` });
  });

  it('needs an existing bucket unless it may create one, and a tenant that is not being deleted', async () => {
    await upload(rig, 'a', { tenantContext: acme });
    await upload(rig, 'b', { tenantContext: globex });
    const [ofAcme] = await strays();
    await rig.query(`update tenants set state = 'deleting' where tenant_slug = 'globex'`);
    expect(await strays()).toEqual([ofAcme]);
    const refused = rig.tenantService.relocateFile(ofAcme!, { ...keep, provision: false }).catch((error: unknown) => error);
    expect(hasCode(await refused, 'no_such_bucket')).toBe(true);
    await rig.tenantService.provision('acme', { tenantSlug: 'acme' });
    expect(await rig.tenantService.relocateFile(ofAcme!, { ...keep, provision: false })).toBe('moved');
    expect(await rig.tenantService.relocateFile(ofAcme!, keep)).toBe('gone');
  });

  it('stops when its signal aborts', async () => {
    await upload(rig, 'a', { tenantContext: acme });
    const [file] = await strays();
    const stopped = storageError('internal_error', 'stopped');
    await expect(rig.tenantService.relocateFile(file!, keep, { signal: AbortSignal.abort(stopped) })).rejects.toBe(stopped);
    expect(await strays()).toEqual([file]);
  });
});
