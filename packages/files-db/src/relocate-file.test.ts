import { hash } from 'node:crypto';

import { hasCode, memoryBackend, storageError } from '@coffer/storage-core';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { FileRecord } from './index.ts';
import { connectDatabase } from './index.ts';
import { inDays, keep, openMovingRig } from './testing/moving.ts';
import type { MovingRig } from './testing/moving.ts';
import { acme, admin, bytesOf, codeOf, defaultBucket, globex, presigning, upload, variant } from './testing/support.ts';

describe.each(['embedded', 'debian'] as const)('moving files to the bucket of their tenant on PostgreSQL (%s)', (server) => {
  let rig: MovingRig;
  beforeEach(async () => {
    rig = await openMovingRig(server);
  });
  afterEach(() => rig.close());

  it('takes what lies outside, and leaves the rest', async () => {
    const [a, b, none] = [
      await upload(rig, 'of acme', { tenantContext: acme }),
      await upload(rig, 'of globex', { tenantContext: globex }),
      await upload(rig, 'of nobody'),
    ];
    rig.multiTenancy = true;
    const own = await upload(rig, 'in its place', { tenantContext: acme });
    await rig.tenantService.createBucket({ bucket: 'acme-second', tenant: 'acme' });
    expect(await rig.strays()).toMatchObject([
      { id: a.id, tenant: acme, from: defaultBucket, to: 'acme-uploads', sizeBytes: 7, waits: false },
      { id: b.id, tenant: globex, from: defaultBucket, to: 'globex-uploads' },
    ]);
    expect(await rig.moveAll()).toEqual(['moved', 'moved']);
    for (const [file, bucket] of [
      [a, 'acme-uploads'],
      [b, 'globex-uploads'],
      [none, defaultBucket],
      [own, 'acme-uploads'],
    ] as const) {
      const { bucket: _former, ...unchanged } = file;
      expect(await rig.now(file)).toEqual({ ...unchanged, bucket });
      expect((await bytesOf(rig, await rig.now(file))).length).toBe(file.sizeBytes);
    }
    expect(await rig.strays()).toEqual([]);
    expect(await rig.usage(acme)).toEqual({ bytes: 19, files: 2, reserved: 0 });
  });

  it('leaves what is in any bucket of its tenant, also where that is not on record yet', async () => {
    rig.multiTenancy = true;
    await upload(rig, 'in its place', { tenantContext: acme });
    await rig.tenantService.createBucket({ bucket: 'acme-second', tenant: 'acme' });
    await rig.query(`update files set bucket = 'acme-second'`);
    expect(await rig.strays()).toEqual([]);
    await rig.query('delete from tenant_buckets');
    await rig.query(`update files set bucket = 'acme-uploads'`);
    expect(await rig.strays()).toEqual([]);
  });

  it('finds files behind however many tenants, and files that are in their place', async () => {
    const file = await upload(rig, 'of the last one', { tenantContext: acme });
    await rig.query(`
      insert into tenants (tenant_uuid, tenant_slug) select uuid, uuid from (select '00000000-' || n as uuid from generate_series(1, 2000) n) as t`);
    await rig.query(`
      insert into files (id, tenant_uuid, owner_id, filename, content_type, bucket, storage_key, status)
      select lpad(n::text, 32, '0')::uuid, '${acme.tenantUuid}', 'alice', 'a', 'text/plain', 'acme-uploads', n, 'available'
      from generate_series(1, 2000) n`);
    expect(await rig.strays()).toMatchObject([{ id: file.id }]);
  });

  it('keeps the old object for URLs already handed out, and then has the sweep remove it', async () => {
    const file = await upload(rig, 'kept', { tenantContext: acme });
    rig.multiTenancy = true;
    await rig.moveAll();
    const former = `${defaultBucket}/${file.storageKey}`;
    await rig.files.sweep({ now: inDays(6.9) });
    expect(await rig.keys()).toContain(former);
    expect(await rig.files.sweep({ now: inDays(7.1) })).toMatchObject({ deleted: 1, retained: 0 });
    expect(await rig.keys()).toEqual([`acme-uploads/${file.storageKey}`]);
    expect(await bytesOf(rig, await rig.now(file))).toBe('kept');
    expect(await rig.query('select 1 from files')).toHaveLength(1);
  });

  it('removes the old object together with the file, or with its tenant', async () => {
    const [one, other, theirs] = [
      await upload(rig, 'one', { tenantContext: acme }),
      await upload(rig, 'other', { tenantContext: acme }),
      await upload(rig, 'theirs', { tenantContext: globex }),
    ];
    rig.multiTenancy = true;
    expect(await rig.moveAll()).toEqual(['moved', 'moved', 'moved']);
    const keysOf = (...files: readonly FileRecord[]): readonly string[] =>
      files.flatMap(({ storageKey }) => [`${defaultBucket}/${storageKey}`]).toSorted();
    const kept = async (): Promise<readonly string[]> => (await rig.keys()).filter((key) => key.startsWith(`${defaultBucket}/`)).toSorted();
    expect(await kept()).toEqual(keysOf(one, other, theirs));
    await rig.files.delete(one.id, admin);
    expect(await kept()).toEqual(keysOf(other, theirs));
    expect(await rig.query(`select 1 from files where storage_key = '${one.storageKey}'`)).toEqual([]);
    // Deleting one bucket of a tenant lets go of what lies there, and of nothing elsewhere.
    await rig.tenantService.createBucket({ bucket: 'acme-more', tenant: 'acme' });
    await rig.tenantService.deleteBucket('acme-more');
    await rig.tenantService.delete('acme', { force: true });
    expect(await kept()).toEqual(keysOf(theirs));
    expect(await bytesOf(rig, await rig.now(theirs))).toBe('theirs');
    await rig.files.sweep({ olderThanSeconds: 0 });
    expect(await kept()).toEqual(keysOf(theirs));
    expect(await rig.query(`select 1 from files where tenant_uuid = '${acme.tenantUuid}'`)).toEqual([]);
  });

  it('removes the old object also when the file is deleted at the moment at which it moves', async () => {
    const file = await upload(rig, 'moves', { tenantContext: acme });
    rig.multiTenancy = true;
    const [stray] = await rig.strays();
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
    await rig.moveAll({ ...keep, keepSeconds: 0 });
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
    rig = await openMovingRig(
      server,
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
      rig.multiTenancy = false;
      const file = await upload(rig, 'moves', { tenantContext: acme, isPublic: true });
      rig.multiTenancy = true;
      move = () => rig.moveAll({ ...keep, keepSeconds: 0 });
      expect((await opened(file)).file).toEqual({ ...file, bucket: 'acme-uploads' });
    }
  });

  it('shows nobody but an admin what is left for the sweep', async () => {
    await upload(rig, 'moved', { tenantContext: acme });
    await rig.moveAll();
    const user = { subject: 'alice', role: 'user', tenant: acme.tenantUuid } as const;
    expect((await rig.files.list({ access: user, status: 'deleted' })).files).toEqual([]);
    expect((await rig.files.list({ access: user })).files).toHaveLength(1);
  });

  it('moves back and forth, and waits where a sweep clears the place', async () => {
    const file = await upload(rig, 'travels', { tenantContext: acme });
    await rig.moveAll();
    await rig.query(`update tenant_buckets set bucket = 'acme-other'`);
    await rig.query(`update files set sweep_at = now() + interval '10 minutes' where status = 'deleted' and bucket = '${defaultBucket}'`);
    expect(await rig.moveAll()).toEqual(['moved']); // acme-uploads -> acme-other
    await rig.query(`update tenant_buckets set bucket = 'acme-uploads'`);
    expect(await rig.moveAll()).toEqual(['moved']); // and back, over what was left there
    await rig.query(`update tenant_buckets set bucket = '${defaultBucket}'`);
    expect(await rig.moveAll()).toEqual(['waits']); // a sweep may have taken that place
    await rig.files.sweep({ now: inDays(30) });
    expect(await rig.keys()).toEqual([`acme-uploads/${file.storageKey}`]);
    expect(await rig.moveAll()).toEqual(['moved']);
    expect(await bytesOf(rig, await rig.now(file))).toBe('travels');
  });

  it('leaves an old object that cannot be removed together with the file to the next sweep', async () => {
    const file = await upload(rig, 'moved', { tenantContext: acme });
    await rig.moveAll();
    vi.spyOn(rig.backend, 'delete').mockRejectedValueOnce(storageError('storage_unavailable', 'not now'));
    await rig.files.delete(file.id, admin);
    expect(await rig.keys()).toEqual([`${defaultBucket}/${file.storageKey}`]);
    expect(await rig.files.sweep()).toMatchObject({ deleted: 1 });
    expect(await rig.keys()).toEqual([]);
  });

  it.each(['kept', 'deleted'])(
    'lets a presigned form finish in the bucket it was made for, and a file that has moved be %s',
    async (fate) => {
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
      expect(await rig.strays()).toEqual([]); // it is pending, and will be completed where it is
      const file = await rig.files.completeUpload(presigned.fileId, admin);
      rig.multiTenancy = true;
      expect(await rig.moveAll()).toEqual(['moved']);
      if (fate === 'deleted') await rig.files.delete(file.id, admin);
      await put(); // the form is still valid
      await rig.files.sweep({ now: inDays(10) });
      expect(await rig.keys()).toEqual(fate === 'kept' ? [`acme-uploads/${file.storageKey}`] : []);
      if (fate === 'kept') expect(await bytesOf(rig, await rig.now(file))).toBe('abc');
    },
  );

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
    expect(await rig.moveAll()).toEqual(['waits']);
    await rig.files.sweep({ now: inDays(2) });
    expect(await rig.moveAll()).toEqual(['moved']);
    expect(await bytesOf(rig, await rig.now(file))).toBe('abc');
  });

  it('refuses an object that is not the recorded one, and tells of one that is missing', async () => {
    const [changed, lost] = [await upload(rig, 'right', { tenantContext: acme }), await upload(rig, 'lost', { tenantContext: acme })];
    await rig.storage.uploadFile({ bucket: defaultBucket, key: changed.storageKey, body: 'wrong' });
    await rig.storage.deleteFile({ bucket: defaultBucket, key: lost.storageKey });
    const codes: string[] = [];
    for (const file of await rig.strays()) codes.push(await codeOf(rig.tenantService.relocateFile(file, keep)));
    expect(codes).toEqual(['checksum_mismatch', 'file_not_found']);
    expect(await rig.now(changed)).toEqual(changed);
  });

  it('accepts another ETag of the copy once the bytes have been compared', async () => {
    await rig.close();
    const inner = presigning(memoryBackend());
    let spoil = false;
    rig = await openMovingRig(
      server,
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
    expect(await codeOf(rig.moveAll())).toBe('checksum_mismatch');
    spoil = false;
    expect(await rig.moveAll()).toEqual(['moved']);
    expect(await rig.now(file)).toMatchObject({ bucket: 'acme-uploads', etag: `${file.etag}-2` });
  });

  it('knows an object by its bytes where another store has given it another ETag', async () => {
    await rig.close();
    const inner = presigning(memoryBackend());
    const head: typeof inner.head = async (at, ctx) => {
      const info = await inner.head(at, ctx);
      return { ...info, etag: `${info.etag}-2` };
    };
    rig = await openMovingRig(server, variant(inner, { head }));
    const [file, changed] = [await upload(rig, 'parts!', { tenantContext: acme }), await upload(rig, 'right', { tenantContext: acme })];
    await rig.storage.uploadFile({ bucket: defaultBucket, key: changed.storageKey, body: 'wrong' });
    const [first, second] = await rig.strays();
    expect(await rig.tenantService.relocateFile(first!, keep)).toBe('moved');
    expect(await rig.now(file)).toMatchObject({ bucket: 'acme-uploads', etag: `${file.etag}-2` });
    expect(await codeOf(rig.tenantService.relocateFile(second!, keep))).toBe('checksum_mismatch');
  });

  it('reads the copy once where the record has a checksum', async () => {
    await rig.close();
    const inner = presigning(memoryBackend());
    const reads: string[] = [];
    const etagOfRight = hash('md5', 'right');
    const head: typeof inner.head = async (at, ctx) => {
      const info = await inner.head(at, ctx);
      return { ...info, etag: at.bucket === defaultBucket ? etagOfRight : `${info.etag}-2` };
    };
    const get: typeof inner.get = async (at, options, ctx) => {
      reads.push(at.bucket);
      return inner.get(at, options, ctx);
    };
    rig = await openMovingRig(server, variant(inner, { head, get }));
    const file = await upload(rig, 'right', { tenantContext: acme, sha256: hash('sha256', 'right') });
    await rig.storage.uploadFile({ bucket: defaultBucket, key: file.storageKey, body: 'wrong' });
    const [stray] = await rig.strays();
    expect(await codeOf(rig.tenantService.relocateFile(stray!, keep))).toBe('checksum_mismatch');
    expect(reads).toEqual(['acme-uploads']);
    await rig.storage.uploadFile({ bucket: defaultBucket, key: file.storageKey, body: 'right' });
    expect(await rig.tenantService.relocateFile(stray!, keep)).toBe('moved');
    expect(reads).toEqual(['acme-uploads', 'acme-uploads']);
  });

  it('needs an existing bucket unless it may create one, and a tenant that is not being deleted', async () => {
    await upload(rig, 'a', { tenantContext: acme });
    await upload(rig, 'b', { tenantContext: globex });
    const [ofAcme] = await rig.strays();
    await rig.query(`update tenants set state = 'deleting' where tenant_slug = 'globex'`);
    expect(await rig.strays()).toEqual([ofAcme]);
    const refused = rig.tenantService.relocateFile(ofAcme!, { ...keep, provision: false }).catch((error: unknown) => error);
    expect(hasCode(await refused, 'no_such_bucket')).toBe(true);
    await rig.tenantService.provision('acme', { tenantSlug: 'acme' });
    expect(await rig.tenantService.relocateFile(ofAcme!, { ...keep, provision: false })).toBe('moved');
    expect(await rig.tenantService.relocateFile(ofAcme!, keep)).toBe('gone');
  });

  it('leaves a file whose bucket has become that of its tenant since', async () => {
    const file = await upload(rig, 'stays', { tenantContext: acme });
    const [stray] = await rig.strays();
    await rig.query(`insert into tenant_buckets (bucket, tenant_uuid) values ('${defaultBucket}', '${acme.tenantUuid}')`);
    expect(await rig.tenantService.relocateFile(stray!, keep)).toBe('gone');
    await rig.files.sweep({ now: inDays(30) });
    expect(await bytesOf(rig, await rig.now(file))).toBe('stays');
  });

  it('stops when its signal aborts', async () => {
    await upload(rig, 'a', { tenantContext: acme });
    const [file] = await rig.strays();
    const stopped = storageError('internal_error', 'stopped');
    await expect(rig.tenantService.relocateFile(file!, keep, { signal: AbortSignal.abort(stopped) })).rejects.toBe(stopped);
    expect(await rig.strays()).toEqual([file]);
  });
});
