import { memoryBackend, storageError } from '@coffer/storage-core';
import type { StorageBackend } from '@coffer/storage-core';
import { afterEach, describe, expect, it, vi } from 'vitest';

import type { FileRecord, Relocation } from './index.ts';
import { connectDatabase, TenantRepository, TenantService } from './index.ts';
import { claimDestination, switchLocation } from './relocation-statements.ts';
import { inDays, keep, openMovingRig } from './testing/moving.ts';
import type { MovingRig } from './testing/moving.ts';
import { acme, admin, bytesOf, codeOf, defaultBucket, globex, presigning, processBeside, upload, variant } from './testing/support.ts';

/** Looks at a copy as `inner` does, but answers only after `end`. */
function slowLook(inner: StorageBackend): {
  readonly head: StorageBackend['head'];
  readonly seen: Promise<void>;
  readonly end: () => void;
} {
  const [seen, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const head: StorageBackend['head'] = async (...call) => {
    const info = await inner.head(...call);
    seen.resolve();
    await ended.promise;
    return info;
  };
  return { head, seen: seen.promise, end: ended.resolve };
}

describe.each(['embedded', 'debian'] as const)('moving files while others work, or are killed, on PostgreSQL (%s)', (server) => {
  let rig: MovingRig;
  const open = async (backend?: StorageBackend): Promise<void> => {
    rig = await openMovingRig(server, backend);
  };
  afterEach(() => rig.close());

  it.each(['copy', 'head'])('continues after a kill after the %s, and leaves nothing behind', async (step) => {
    const dead = new Error('killed');
    let lives = false;
    const inner = presigning(memoryBackend());
    await open(
      variant(inner, {
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
    rig.multiTenancy = true;
    await expect(rig.moveAll()).rejects.toBe(dead);
    expect(await rig.now(file)).toEqual(file);
    expect(await rig.keys()).toHaveLength(2);
    lives = true;
    expect(await rig.moveAll()).toEqual(['moved']);
    await rig.files.sweep({ now: inDays(9) });
    expect(await rig.keys()).toEqual([`acme-uploads/${file.storageKey}`]);
    expect(await bytesOf(rig, await rig.now(file))).toBe(step);
  });

  it('has the sweep remove the copy of a killed process when the file is deleted before the next attempt', async () => {
    const inner = presigning(memoryBackend());
    await open(variant(inner, { head: () => Promise.reject(new Error('killed')) }));
    const file = await upload(rig, 'gone', { tenantContext: acme });
    await expect(rig.moveAll()).rejects.toThrow('killed');
    await rig.files.delete(file.id, admin);
    expect(await rig.keys()).toEqual([`acme-uploads/${file.storageKey}`]);
    expect(await rig.strays()).toEqual([]);
    await rig.files.sweep({ now: inDays(3) });
    expect(await rig.keys()).toEqual([]);
    expect(await rig.query('select 1 from files')).toEqual([]);
  });

  it('shares the work with other processes: every file is moved once, and none is lost', async () => {
    await open();
    const files: FileRecord[] = [];
    for (let index = 0; index < 60; index++)
      files.push(await upload(rig, `file ${index}`, { tenantContext: index % 2 === 0 ? acme : globex }));
    rig.multiTenancy = true;
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
    const results = (await Promise.all(services.map((service) => rig.moveAll(keep, service)))).flat();
    await Promise.all([deleting, sweeping]);
    await Promise.all(databases.map((database) => database.close()));
    expect(results.filter((result) => result === 'moved').length).toBeLessThanOrEqual(60);
    await rig.moveAll();
    await rig.files.sweep({ now: inDays(30) });
    const left = files.slice(10);
    for (const file of left) expect(await bytesOf(rig, await rig.now(file))).toBe(`file ${files.indexOf(file)}`);
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
      rig.multiTenancy = true;
      const [stray] = await rig.strays();
      whileCopying = async () => {
        expect(await rig.moveAll()).toEqual(['moved']);
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
      const inner = presigning(memoryBackend());
      const look = slowLook(inner);
      await open(variant(inner, { head: look.head }));
      const file = await upload(rig, 'stays', { tenantContext: acme });
      rig.multiTenancy = true;
      const moving = rig.moveAll();
      await look.seen;
      const removeBucket = rig.tenants.removeBucket.bind(rig.tenants);
      vi.spyOn(rig.tenants, 'removeBucket').mockImplementationOnce(async (bucket) => {
        if (when === 'before') look.end();
        if (when === 'before') await moving;
        await removeBucket(bucket);
      });
      await rig.tenantService.deleteBucket('acme-uploads', { force: true });
      look.end();
      expect(await moving).toEqual(['waits']);
      expect(await bytesOf(rig, await rig.now(file))).toBe('stays');
      expect(await rig.moveAll()).toEqual(['moved']);
      expect(await bytesOf(rig, await rig.now(file))).toBe('stays');
    },
  );

  it.each(['place is claimed', 'copy is made', 'copy is made by a process that is killed then'])(
    'leaves a file where it is when the empty bucket of its tenant is deleted before the %s, and is now of no tenant',
    async (when) => {
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
      rig.multiTenancy = true;
      const loseBucket = async (): Promise<void> => {
        await rig.tenantService.deleteBucket('acme-uploads');
        await rig.storage.createBucket('acme-uploads');
      };
      if (when === 'place is claimed') vi.spyOn(rig.tenants, 'keeps').mockImplementationOnce(async () => loseBucket().then(() => true));
      else beforeCopying = loseBucket;
      expect(await Promise.race([rig.moveAll(), killed.promise])).toEqual(when.endsWith('killed then') ? 'killed' : ['waits']);
      expect(await rig.now(file)).toMatchObject({ bucket: defaultBucket });
      expect(await bytesOf(rig, await rig.now(file))).toBe('stays');
      await rig.files.sweep({ now: inDays(30) });
      expect(await rig.keys()).toEqual([`${defaultBucket}/${file.storageKey}`]);
      expect(await rig.query('select 1 from files')).toHaveLength(1);
    },
  );

  it.each([
    ['sweep', 'while'],
    ['deletion of the bucket and a sweep', 'while'],
    ['deletion of the bucket', 'before'],
  ])(
    'leaves a file where it is when a %s has removed the copy that is about to become it, %s another process makes its own, and gives up',
    async (what, when) => {
      const inner = presigning(memoryBackend());
      const look = slowLook(inner);
      const removeCopy = async (): Promise<void> => {
        if (what === 'sweep') await rig.query(`update files set sweep_at = now() - interval '3 days' where status = 'deleted'`);
        else await rig.tenantService.deleteBucket('acme-uploads', { force: true });
        if (what.endsWith('sweep')) await rig.files.sweep();
      };
      let copies = 0;
      await open(
        variant(inner, {
          head: look.head,
          copy: async (...call) => {
            if (++copies === 1) return inner.copy(...call);
            if (when === 'while') await removeCopy();
            throw storageError('storage_unavailable', 'not now');
          },
        }),
      );
      const file = await upload(rig, 'stays', { tenantContext: acme });
      rig.multiTenancy = true;
      const [stray] = await rig.strays();
      const slow = rig.tenantService.relocateFile(stray!, keep);
      await look.seen;
      if (when === 'before') await removeCopy();
      expect(await codeOf(rig.tenantService.relocateFile(stray!, keep))).toBe('storage_unavailable');
      look.end();
      expect(await slow).toBe('waits');
      expect(await bytesOf(rig, await rig.now(file))).toBe('stays');
    },
  );

  it.each([
    ['of the same age', {}, {}],
    ['of another age', {}, { olderThanSeconds: 0 }],
    ['that began later', { now: new Date(Date.now() - 20 * 60_000) }, {}],
    ['by an earlier clock', { now: inDays(2) }, {}],
  ] as const)('is not moved to where a sweep is clearing, while there is another one %s', async (_how, first, second) => {
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
    rig.multiTenancy = true;
    await expect(rig.moveAll()).rejects.toThrow('killed');
    isKilled = false;
    await rig.query(`update files set sweep_at = now() - interval '2 days' where status = 'deleted'`);
    const sweeping = rig.files.sweep(first);
    await removing.promise;
    expect(await rig.files.sweep({ ...second, dryRun: true })).toMatchObject({ deleted: 0 });
    expect(await rig.files.sweep(second)).toMatchObject({ deleted: 0, retained: 0 });
    expect(await rig.moveAll()).toEqual(['waits']);
    goesOn.resolve();
    expect(await sweeping).toMatchObject({ deleted: 1 });
    expect(await bytesOf(rig, await rig.now(file))).toBe('stays');
    expect(await rig.moveAll()).toEqual(['moved']);
    expect(await bytesOf(rig, await rig.now(file))).toBe('stays');
  });

  it('claims no place at which another process is just recording the file: the sweep would clear it', async () => {
    await open();
    const { id, storageKey: key, etag, ...file } = await upload(rig, 'stays', { tenantContext: acme });
    const move = { id, key, from: defaultBucket, to: await rig.tenants.bucketFor(acme) };
    const [stray] = await rig.strays();
    await rig.storage.createBucket(move.to);
    const { sql } = rig.database;
    const [claimed] = await claimDestination(sql, { ...move, seconds: 60 * 60 });
    await rig.storage.copyFile({ source: { bucket: move.from, key }, destination: { bucket: move.to, key } });
    const { late } = await sql.begin(async (transaction) => {
      expect(await switchLocation(transaction, { ...move, claim: claimed!.claim, etag: etag!, sweepIn: 0 })).toEqual([{ id }]);
      const moving = rig.tenantService.relocateFile(stray!, keep);
      const waiting = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
      await expect.poll(() => rig.query(waiting)).toHaveLength(1);
      return { late: moving };
    });
    expect(await late).toBe('gone');
    await rig.files.sweep({ now: inDays(30) });
    expect(await bytesOf(rig, await rig.now({ ...file, id, storageKey: key, etag }))).toBe('stays');
  });

  it.each([
    ['not known yet', 0],
    ['known', 60],
  ])('has nothing to move when the tenant is deleted meanwhile, with a bucket that is %s', async (_what, cacheSeconds) => {
    await open();
    for (const text of ['one', 'two', 'three']) await upload(rig, text, { tenantContext: acme });
    rig.multiTenancy = true;
    const { tenantService, close } = processBeside(rig, { cacheSeconds });
    const [first, second, last] = await rig.strays(tenantService);
    for (const stray of [first, second]) expect(await tenantService.relocateFile(stray!, keep)).toBe('moved');
    await rig.tenantService.delete('acme', { force: true });
    expect(await tenantService.relocateFile(last!, keep)).toBe('gone');
    expect(await rig.keys()).toEqual([]);
    await close();
  });

  it('leaves a file where it is when the bucket that is deleted became that of its tenant only after the deletion had begun', async () => {
    const inner = presigning(memoryBackend());
    const look = slowLook(inner);
    let moving: Promise<Relocation> | undefined;
    await open(
      variant(inner, {
        head: look.head,
        buckets: {
          ...inner.buckets!,
          delete: async (...call) => {
            moving = rig.tenantService.relocateFile(stray!, keep);
            await look.seen;
            return inner.buckets!.delete(...call);
          },
        },
      }),
    );
    const file = await upload(rig, 'stays', { tenantContext: acme });
    await rig.storage.createBucket('acme-uploads');
    rig.multiTenancy = true;
    const [stray] = await rig.strays();
    const removeBucket = rig.tenants.removeBucket.bind(rig.tenants);
    vi.spyOn(rig.tenants, 'removeBucket').mockImplementationOnce(async (bucket) => {
      look.end();
      expect(await moving).toBe('waits');
      await removeBucket(bucket);
    });
    await rig.tenantService.deleteBucket('acme-uploads', { force: true });
    expect(await bytesOf(rig, await rig.now(file))).toBe('stays');
  });
});
