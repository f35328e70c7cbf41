import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { deleteFile } from './deletion-statements.ts';
import { systemAccess } from './file-access.ts';
import { reserveFile, reserveMore } from './file-statements.ts';
import { reserved } from './testing/rows.ts';
import { acme, codeOf, globex, openRig, streamOf, upload, userOf } from './testing/support.ts';
import type { Rig } from './testing/support.ts';

const MiB = 1024 * 1024;

describe.each(['embedded', 'debian'] as const)('a quota on PostgreSQL (%s)', (server) => {
  let rig: Rig;
  beforeEach(async () => {
    rig = await openRig({ server });
    await rig.tenants.create(acme);
    await rig.tenants.create(globex);
  });
  afterEach(async () => {
    expect(await rig.usage(acme)).toMatchObject({ reserved: 0 });
    await rig.close();
  });
  const quota = (bytes: number | null): Promise<unknown> => rig.tenants.update(acme.tenantUuid, { quotaBytes: bytes });

  it('takes what exactly fits, and not a byte more', async () => {
    await quota(10);
    await upload(rig, '1234567', { tenantContext: acme });
    expect(await codeOf(upload(rig, '1234', { tenantContext: acme }))).toBe('quota_exceeded');
    expect(await codeOf(upload(rig, '', { tenantContext: acme, body: streamOf(['12', '34']), size: 4 }))).toBe('quota_exceeded');
    await upload(rig, '123', { tenantContext: acme });
    expect(await codeOf(upload(rig, '1', { tenantContext: acme }))).toBe('quota_exceeded');
    await upload(rig, '', { tenantContext: acme });
    expect(await rig.usage(acme)).toMatchObject({ bytes: 10, files: 3 });
  });

  it('takes what exactly fits when the size is only estimated, too high or too low, and cuts what does not', async () => {
    await quota(10_000);
    const big = 'x'.repeat(10_000);
    expect(
      await upload(rig, '', { tenantContext: acme, body: streamOf([big.slice(0, 6000), big.slice(6000)]), sizeHint: 10_300 }),
    ).toMatchObject({ sizeBytes: 10_000 });
    expect(await codeOf(upload(rig, '', { tenantContext: acme, body: streamOf(['1']), sizeHint: 300 }))).toBe('quota_exceeded');
    await quota(20_000);
    const low = await upload(rig, '', { tenantContext: acme, body: streamOf([big.slice(0, 6000), big.slice(6000)]), sizeHint: 9998 });
    await rig.files.delete(low.id, userOf(acme, 'alice'));
    expect(low).toMatchObject({ sizeBytes: 10_000 });
    const chunks = Array.from({ length: 20 }, () => 'y'.repeat(1000));
    expect(await codeOf(upload(rig, '', { tenantContext: acme, body: streamOf(chunks), sizeHint: 20_300 }))).toBe('quota_exceeded');
    expect(await upload(rig, '', { tenantContext: acme, body: streamOf(chunks.slice(0, 10)), sizeHint: 10_300 })).toMatchObject({
      sizeBytes: 10_000,
    });
  });

  it('asks for more as a body of unknown length grows', async () => {
    await quota(24 * MiB);
    const chunks = (count: number): Buffer[] => Array.from({ length: count }, () => Buffer.alloc(MiB));
    expect(await codeOf(upload(rig, '', { tenantContext: acme, body: streamOf(chunks(25)) }))).toBe('quota_exceeded');
    expect(await upload(rig, '', { tenantContext: acme, body: streamOf(chunks(24)) })).toMatchObject({ sizeBytes: 24 * MiB });
  });

  it('lets uploads of unknown length share what is free', async () => {
    await quota(MiB);
    let arrived = 0;
    let go = (): void => {};
    const all = new Promise<void>((resolve) => (go = resolve));
    const uploads = Array.from({ length: 6 }, () =>
      upload(rig, '', {
        tenantContext: acme,
        body: streamOf(Array.from({ length: 8 }, () => 'x'.repeat(10_000))),
        late: async () => {
          if (++arrived === 6) go();
          await all;
          return {};
        },
      }),
    );
    // A refused upload releases the others, and fails the test.
    await Promise.all(uploads.map((uploading) => uploading.catch((error: unknown) => (go(), Promise.reject(error as Error)))));
    expect(await rig.usage(acme)).toMatchObject({ bytes: 480_000, files: 6 });
  });

  it('reserves just what it has for a body that ends within its first bytes', async () => {
    await quota(10);
    await Promise.all(['12345', '67890'].map((text) => upload(rig, '', { tenantContext: acme, body: streamOf([text]) })));
    expect(await codeOf(upload(rig, '', { tenantContext: acme, body: streamOf(['1']) }))).toBe('quota_exceeded');
    expect(await rig.usage(acme)).toMatchObject({ bytes: 10, files: 2 });
  });

  it('may be absent, and everything is still counted', async () => {
    await upload(rig, '', { tenantContext: acme, body: streamOf(Array.from({ length: 12 }, () => Buffer.alloc(MiB))) });
    expect(await rig.usage(acme)).toMatchObject({ bytes: 12 * MiB });
  });

  it('refuses everything once it is below what is used, and nothing of another tenant', async () => {
    await upload(rig, '12345', { tenantContext: acme });
    await quota(1);
    expect(await codeOf(upload(rig, '', { tenantContext: acme }))).toBe('quota_exceeded');
    await upload(rig, '12345', { tenantContext: globex });
  });

  it('is never passed by 50 uploads at once', async () => {
    await quota(10 * 1000);
    const bodies = [
      () => ({ body: 'x'.repeat(1000) }),
      () => ({ body: streamOf(['x'.repeat(400), 'x'.repeat(600)]), size: 1000 }),
      () => ({ body: streamOf(['x'.repeat(400), 'x'.repeat(600)]), sizeHint: 1200 }),
      () => ({ body: streamOf(['x'.repeat(400), 'x'.repeat(600)]) }),
    ];
    const results = await Promise.allSettled(
      Array.from({ length: 50 }, (_, index) => upload(rig, '', { tenantContext: acme, ...bodies[index % 4]!() })),
    );
    for (const result of results) if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'quota_exceeded' });
    const stored = results.filter(({ status }) => status === 'fulfilled').length;
    const { bytes, files } = await rig.usage(acme);
    expect({ bytes, files }).toEqual({ bytes: stored * 1000, files: stored });
    expect(stored).toBe(10);
  });

  const piecewise = (bytes: number): Buffer[] => Array.from({ length: 16 }, () => Buffer.alloc(bytes / 16));
  it.each<[string, { quota: number; count: number; each: number; kinds: readonly ('estimated' | 'low' | 'high' | 'exact' | 'unknown')[] }]>(
    [
      ['forms of 1 MiB', { quota: 10 * MiB, count: 20, each: MiB, kinds: ['estimated'] }],
      ['small forms', { quota: 1000, count: 30, each: 100, kinds: ['estimated'] }],
      ['small bodies of unknown length', { quota: 1000, count: 22, each: 90, kinds: ['unknown'] }],
      ['bodies of unknown length that outgrow their first reservation', { quota: 10 * MiB, count: 20, each: MiB, kinds: ['unknown'] }],
      ['estimates that are wrong', { quota: 10 * MiB, count: 20, each: MiB, kinds: ['low', 'high'] }],
      ['all kinds at once', { quota: 10.5 * MiB, count: 24, each: MiB, kinds: ['estimated', 'exact', 'unknown', 'low', 'high'] }],
    ],
  )('takes as many of parallel uploads as fit: %s', async (_name, { quota: bytes, count, each, kinds }) => {
    await quota(bytes);
    const announced = {
      estimated: { sizeHint: each },
      low: { sizeHint: each - 2 },
      high: { sizeHint: each + 200 },
      exact: { size: each },
      unknown: {},
    };
    const results = await Promise.allSettled(
      Array.from({ length: count }, (_, index) => {
        const chunks = each < 1000 ? [Buffer.alloc(each)] : piecewise(each);
        return upload(rig, '', { tenantContext: acme, body: streamOf(chunks), ...announced[kinds[index % kinds.length]!] });
      }),
    );
    const fit = Math.floor(bytes / each);
    for (const result of results) if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'quota_exceeded' });
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(fit);
    expect(await rig.usage(acme)).toEqual({ bytes: fit * each, files: fit, reserved: 0 });
  });

  it('gives up waiting for space when the caller goes away', async () => {
    await quota(100);
    const held = Promise.withResolvers<Record<string, never>>();
    const reserved = Promise.withResolvers<void>();
    const first = upload(rig, 'x'.repeat(60), { tenantContext: acme, late: () => (reserved.resolve(), held.promise) });
    await reserved.promise;
    const leaving = new AbortController();
    const request = { body: 'y'.repeat(60), filename: 'a', ownerId: 'alice', tenantContext: acme };
    const second = rig.files.uploadFile(request, { signal: leaving.signal });
    leaving.abort(Object.assign(new Error('gone'), { code: 'GONE' }));
    expect(await codeOf(second)).toBe('GONE');
    const third = rig.files.uploadFile(request);
    held.reject(Object.assign(new Error('no'), { code: 'NO' }));
    expect(await codeOf(first)).toBe('NO');
    expect(await third).toMatchObject({ sizeBytes: 60 });
  });

  it('gives no more to an upload that is deleted while it asks', async () => {
    await quota(100);
    const file = reserved({ asked: 10, least: 10 });
    await reserveFile(rig.database.sql, file);
    const deletion = await rig.database.sql.reserve();
    await deletion`begin`;
    await deleteFile(deletion, { id: file.id, ...systemAccess, formerBucket: null, otherFormerBucket: null });
    const more = reserveMore(rig.database.sql, { id: file.id, needed: 20, asked: 10 });
    const waits = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    await expect.poll(() => rig.query(waits)).toHaveLength(1);
    await deletion`commit`;
    deletion.release();
    expect(await more).toEqual([]);
    expect(await rig.usage(acme)).toEqual({ bytes: 0, files: 0, reserved: 0 });
  });

  it('has room again when uploads and deletes run side by side', async () => {
    await quota(5000);
    await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const file = await upload(rig, 'x'.repeat(200), { tenantContext: acme, ownerId: `owner-${index}` });
        if (index % 2 === 0) await rig.files.delete(file.id, userOf(acme, `owner-${index}`));
      }),
    );
    expect(await rig.usage(acme)).toMatchObject({ bytes: 2000, files: 10 });
  });
});
