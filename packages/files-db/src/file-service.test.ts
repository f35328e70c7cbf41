import { Readable } from 'node:stream';

import { memoryBackend, readAll, storageError, wrapBackend } from '@coffer/storage-core';
import type { CallContext, StorageServiceOptions, TenantContext } from '@coffer/storage-core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { acme, admin, codeOf, globex, openRig, presigning, sharedBucket, upload, userOf, variant } from './testing/support.ts';
import type { Rig } from './testing/support.ts';
import { FileService } from './index.ts';
import type { FileAccess, FileRecord, ListFilesRequest } from './index.ts';

const service = (tenant: TenantContext): FileAccess => ({ subject: 'robot', role: 'service', tenant: tenant.tenantUuid });
const adminOf = (tenant: TenantContext): FileAccess => ({ subject: 'root', role: 'admin', tenant: tenant.tenantUuid });

describe.each(['embedded', 'debian'] as const)('FileService on PostgreSQL (%s)', (server) => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await openRig({ server, backend: presigning(memoryBackend()) });
  });
  afterAll(() => rig.close());

  describe('shows and lets change', () => {
    const tenants = { acme, globex, none: undefined } as const;
    const files = new Map<string, FileRecord>();
    beforeAll(async () => {
      for (const [name, tenantContext] of Object.entries(tenants)) {
        for (const ownerId of ['alice', 'bob']) {
          for (const isPublic of [true, false]) {
            const file = await upload(rig, 'hello', { tenantContext, ownerId, isPublic });
            files.set(`${name} ${ownerId} ${isPublic ? 'public' : 'private'}`, file);
          }
        }
      }
    });

    // Who, what they see, what they may change; the patterns match "tenant owner visibility".
    const matrix: readonly (readonly [string, FileAccess, RegExp, RegExp])[] = [
      ['a user', userOf(acme, 'alice'), /^acme (?:alice|bob public)/, /^acme alice/],
      ['a user without files', userOf(acme, 'carol'), /^acme \w+ public/, /^$/],
      ['a user of another tenant', userOf(globex, 'bob'), /^globex (?:bob|alice public)/, /^globex bob/],
      ['a user without a tenant', userOf(undefined, 'alice'), /^none (?:alice|bob public)/, /^none alice/],
      ['a user of a tenant that is not registered', { subject: 'alice', role: 'user', tenant: 'unknown' }, /^$/, /^$/],
      ['a service', service(acme), /^acme/, /^acme/],
      ['an admin', admin, /./, /./],
      ['an admin who names a tenant', adminOf(globex), /^globex/, /^globex/],
    ];

    it.each(matrix)('to %s exactly what it may have', async (_who, access, seen, changed) => {
      for (const [name, { id }] of files) {
        const visible = seen.test(name) ? 'resolved' : 'file_not_found';
        const changeable = changed.test(name) ? 'resolved' : seen.test(name) ? 'forbidden' : 'file_not_found';
        const reading = {
          get: () => rig.files.get(id, access),
          head: () => rig.files.head(id, access),
          link: () => rig.files.presignedDownload(id, {}, access),
        };
        for (const [how, read] of Object.entries(reading)) expect([name, how, await codeOf(read())]).toEqual([name, how, visible]);
        const opening = rig.files.open(id, {}, access).then(({ result }) => (result.kind === 'object' ? readAll(result.body) : undefined));
        expect([name, 'open', await codeOf(opening)]).toEqual([name, 'open', visible]);
        expect([name, 'update', await codeOf(rig.files.update(id, {}, access))]).toEqual([name, 'update', changeable]);
        expect([name, 'complete', await codeOf(rig.files.completeUpload(id, access))]).toEqual([name, 'complete', changeable]);
        if (changeable !== 'resolved')
          expect([name, 'delete', await codeOf(rig.files.delete(id, access))]).toEqual([name, 'delete', changeable]);
        const open = name.endsWith('public') ? 'resolved' : 'file_not_found';
        expect([name, 'public', await codeOf(rig.files.headPublic(id))]).toEqual([name, 'public', open]);
      }
      const listed = async (more: Partial<ListFilesRequest>): Promise<readonly string[]> =>
        (await rig.files.list({ access, ...more })).files.map(({ id }) => id);
      const ids = (pattern: RegExp): string[] =>
        [...files]
          .filter(([name]) => pattern.test(name))
          .map(([, { id }]) => id)
          .toReversed();
      const visible = ids(seen);
      expect(await listed({})).toEqual(visible);
      for (const ownerId of ['alice', 'bob', 'nobody']) {
        expect(await listed({ ownerId })).toEqual(
          visible.filter((id) => [...files.values()].find((file) => file.id === id)!.ownerId === ownerId),
        );
      }
      expect(await listed({ status: 'pending' })).toEqual([]);
    });

    it('nothing to a service that names no tenant', async () => {
      const access: FileAccess = { subject: 'robot', role: 'service' };
      expect(await codeOf(rig.files.list({ access }))).toBe('tenant_context_required');
      expect(await codeOf(rig.files.get(files.get('none alice public')!.id, access))).toBe('tenant_context_required');
    });
  });

  it('serves the bytes of a file, a range of them, or the answer that the caller has them', async () => {
    const file = await upload(rig, 'hello world', { tenantContext: acme, isPublic: true });
    const read = async (opening: ReturnType<Rig['files']['open']>): Promise<string> => {
      const { result, file: record } = await opening;
      expect(record).toEqual(file);
      return result.kind === 'object' ? (await readAll(result.body)).toString() : result.kind;
    };
    const alice = userOf(acme, 'alice');
    expect(await read(rig.files.open(file.id, {}, alice))).toBe('hello world');
    expect(await read(rig.files.open(file.id.toUpperCase(), { range: { start: 6 } }, alice))).toBe('world');
    expect(await read(rig.files.open(file.id, { ifNoneMatch: [file.etag!] }, alice))).toBe('not_modified');
    expect(await read(rig.files.openPublic(file.id, { range: { suffix: 5 } }))).toBe('world');
    expect(await codeOf(rig.files.open(file.id, { range: { start: 20 } }, alice))).toBe('range_not_satisfiable');
    expect((await rig.files.head(file.id, alice)).info).toMatchObject({ size: 11, etag: file.etag, contentType: 'text/plain' });
    const link = await rig.files.presignedDownload(file.id, { expiresIn: 30 }, alice);
    expect(link).toEqual({ downloadUrl: expect.stringContaining('inline%3B+filename%3D%22note.txt%22'), expiresIn: 30 });
    expect(await codeOf(rig.files.presignedDownload(file.id, { expiresIn: 0 }, alice))).toBe('validation_failed');
    const disposition = 'inline; filename="setup.exe"' as 'inline'; // as a program may pass it on from a request
    expect(await codeOf(rig.files.presignedDownload(file.id, { disposition }, alice))).toBe('validation_failed');
  });

  it('says nothing of where the bytes of a file were, and looks for them once', async () => {
    const file = await upload(rig, 'hello', { tenantContext: acme, isPublic: true });
    await rig.storage.deleteFile({ bucket: file.bucket, key: file.storageKey });
    const readings = [() => rig.files.openPublic(file.id), () => rig.files.headPublic(file.id), () => rig.files.open(file.id, {}, admin)];
    const withoutAddress = { code: 'file_not_found', message: 'The bytes of this file no longer exist.' };
    const [gets, heads] = [vi.spyOn(rig.backend, 'get'), vi.spyOn(rig.backend, 'head')];
    for (const reading of readings) await expect(reading()).rejects.toMatchObject(withoutAddress);
    expect(gets.mock.calls.length + heads.mock.calls.length).toBe(readings.length);
    vi.restoreAllMocks();
    await rig.query(`update files set bucket = 'absent' where id = '${file.id}'`);
    for (const reading of readings) await expect(reading()).rejects.toMatchObject(withoutAddress);
    await rig.files.delete(file.id, admin);
  });

  it('waits for the database no longer than the caller', async () => {
    const file = await upload(rig, 'hello', { tenantContext: acme, isPublic: true });
    const calls = {
      get: (ctx: CallContext) => rig.files.get(file.id, admin, ctx),
      list: (ctx: CallContext) => rig.files.list({ access: admin }, ctx),
      update: (ctx: CallContext) => rig.files.update(file.id, { filename: 'later.txt' }, admin, ctx),
      open: (ctx: CallContext) => rig.files.open(file.id, {}, admin, ctx),
      headPublic: (ctx: CallContext) => rig.files.headPublic(file.id, ctx),
    };
    await rig.database.sql.begin(async (transaction) => {
      await transaction`lock table files in access exclusive mode`;
      for (const [name, call] of Object.entries(calls)) {
        const controller = new AbortController();
        const called = call({ signal: controller.signal }).catch((error: unknown) => error);
        setTimeout(() => controller.abort(name), 50);
        expect(await called).toBe(name);
      }
    });
    const signal = AbortSignal.abort('before');
    for (const call of Object.values(calls)) await expect(call({ signal })).rejects.toBe('before');
    await expect(calls.get({ signal: new AbortController().signal })).resolves.toMatchObject({ id: file.id });
    await rig.files.delete(file.id, admin);
  });

  it('begins nothing for a caller who has left, or whose signal is none', async () => {
    const file = await upload(rig, 'hello', { tenantContext: acme });
    const gone = { signal: AbortSignal.abort('before') };
    await expect(rig.files.delete(file.id, admin, gone)).rejects.toBe('before');
    await expect(rig.files.completeUpload(file.id, admin, gone)).rejects.toBe('before');
    for (const ctx of [null, { signal: null }, { signal: new AbortController() }] as never[]) {
      const body = Readable.from(['x']);
      const calls = [
        rig.files.uploadFile({ body, filename: 'a', ownerId: 'alice', tenantContext: acme }, ctx),
        rig.files.createPresignedUpload({ filename: 'a', contentType: 'a/b', sizeBytes: 1, ownerId: 'alice' }, ctx),
        rig.files.completeUpload(file.id, admin, ctx),
        rig.files.update(file.id, { filename: 'b' }, admin, ctx),
        rig.files.delete(file.id, admin, ctx),
        rig.files.open(file.id, {}, admin, ctx),
        rig.files.sweep({}, ctx),
      ];
      expect(await Promise.all(calls.map(codeOf))).toEqual(calls.map(() => 'invalid_argument'));
      expect(body.destroyed).toBe(true);
    }
    expect(await rig.files.get(file.id, admin)).toEqual(file);
    await rig.files.delete(file.id, admin);
  });

  it('changes what is asked for and nothing else', async () => {
    const alice = userOf(acme, 'alice');
    const file = await upload(rig, 'hello', { tenantContext: acme, metadata: { a: 1 } });
    const renamed = await rig.files.update(file.id, { filename: 'new.txt' }, alice);
    expect(renamed).toEqual({ ...file, filename: 'new.txt', updatedAt: renamed.updatedAt });
    expect(await rig.files.update(file.id, { isPublic: true }, alice)).toMatchObject({
      filename: 'new.txt',
      isPublic: true,
      metadata: { a: 1 },
    });
    expect(await rig.files.update(file.id, { isPublic: false, metadata: { b: 2 } }, alice)).toMatchObject({
      isPublic: false,
      metadata: { b: 2 },
    });
    for (const wrong of [
      { filename: '' },
      { filename: 'a\u0000' },
      { isPublic: 1 },
      { metadata: { a: '\u0000' } },
      { metadata: JSON.parse('{"a":{"__proto__":1}}') },
      { metadata: { a: 'x'.repeat(16_384) } },
      // Short in JSON, but several hundred times as long in the database.
      { metadata: { a: Array.from({ length: 60 }, () => 1e308) } },
      { metadata: { a: Array.from({ length: 60 }, () => -5e-324) } },
    ]) {
      expect([wrong, await codeOf(rig.files.update(file.id, wrong as object, alice))]).toEqual([wrong, 'validation_failed']);
    }
    expect(await rig.files.get(file.id, alice)).toMatchObject({ filename: 'new.txt', metadata: { b: 2 } });
    const numbers = { a: [Number.MAX_VALUE, Number.MIN_VALUE, 2 ** 64, 1e21, -0.1], b: '1e+99999' };
    expect(await rig.files.update(file.id, { metadata: numbers }, alice)).toMatchObject({ metadata: numbers });
  });

  it('refuses an unknown role, and does not take it for one that may see everything', async () => {
    const file = await upload(rig, 'hello', { tenantContext: acme, ownerId: 'alice' });
    const stranger = userOf(acme, 'mallory');
    for (const role of ['User', '', undefined, null, ['user']]) {
      const access = { ...stranger, role } as never;
      const { id } = file;
      const calls = [
        () => rig.files.get(id, access),
        () => rig.files.list({ access }),
        () => rig.files.update(id, { filename: 'b' }, access),
        () => rig.files.delete(id, access),
        () => rig.files.completeUpload(id, access),
      ];
      for (const call of calls) expect([role, await codeOf(call())]).toEqual([role, 'invalid_argument']);
    }
    expect(await rig.files.get(file.id, userOf(acme, 'alice'))).toEqual(file);
    await rig.files.delete(file.id, admin);
  });

  it('refuses a tenant that was looked up in vain: files of no tenant are not those of a service', async () => {
    const file = await upload(rig, 'hello', { ownerId: 'alice' });
    for (const role of ['admin', 'service', 'user'] as const) {
      const access = { subject: 'alice', role, tenant: null } as never;
      expect(await codeOf(rig.files.get(file.id, access))).toBe('invalid_argument');
      expect(await codeOf(rig.files.list({ access }))).toBe('invalid_argument');
    }
    await rig.files.delete(file.id, admin);
  });

  it('does not take a user without a subject for one that may see everything', async () => {
    const file = await upload(rig, 'hello', { tenantContext: acme, ownerId: 'alice' });
    const access = { role: 'user', tenant: acme.tenantUuid } as FileAccess;
    expect(await codeOf(rig.files.get(file.id, access))).toBe('file_not_found');
    const { files } = await rig.files.list({ access });
    expect(files.filter(({ isPublic }) => !isPublic)).toEqual([]);
    await rig.files.delete(file.id, admin);
  });

  it('deletes a file once, for everybody', async () => {
    const alice = userOf(acme, 'alice');
    const before = await rig.usage(acme);
    const file = await upload(rig, 'hello', { tenantContext: acme, isPublic: true });
    const codes = await Promise.all(Array.from({ length: 8 }, () => codeOf(rig.files.delete(file.id, alice))));
    expect(codes.toSorted()).toEqual([...Array.from({ length: 7 }, () => 'file_not_found'), 'resolved']);
    expect(await rig.usage(acme)).toEqual(before);
    for (const after of [
      () => rig.files.get(file.id, alice),
      () => rig.files.get(file.id, admin),
      () => rig.files.open(file.id, {}, alice),
      () => rig.files.openPublic(file.id),
      () => rig.files.update(file.id, {}, alice),
      () => rig.files.completeUpload(file.id, alice),
      () => rig.files.presignedDownload(file.id, {}, alice),
    ]) {
      expect(await codeOf(after())).toBe('file_not_found');
    }
    expect(await rig.storage.fileExists({ bucket: file.bucket, key: file.storageKey })).toBe(false);
  });

  it('keeps nothing of a deleted file, unless bytes may still arrive for it', async () => {
    const alice = userOf(acme, 'alice');
    const count = async (): Promise<number> => (await rig.query(`select 1 from files where status = 'deleted'`)).length;
    const before = await count();
    await rig.files.delete((await upload(rig, 'hello', { tenantContext: acme })).id, alice);
    expect(await count()).toBe(before);
    let pending = '';
    const uploading = upload(rig, 'hello', {
      tenantContext: acme,
      late: async () => {
        const [row] = await rig.query<{ id: string }>(`select id from files where status = 'pending'`);
        pending = row!.id;
        await rig.files.delete(pending, alice);
        expect((await rig.files.list({ access: alice, status: 'deleted' })).files).toMatchObject([{ id: pending, status: 'deleted' }]);
        return {};
      },
    });
    expect(await codeOf(uploading)).toBe('file_not_found');
    expect(await count()).toBe(before);
    const formed = await upload(rig, 'hello', { tenantContext: acme });
    await rig.query(`update files set upload_key = 'incoming/x', expires_at = now() + interval '1 h' where id = '${formed.id}'`);
    await rig.files.delete(formed.id, alice);
    expect(await count()).toBe(before + 1);
    await rig.query(`delete from files where id = '${formed.id}'`);
  });

  it('answers ids and subjects that cannot be with "not found", never with an error of its own', async () => {
    for (const id of ['', 'x', '../../etc/passwd', '00000000-0000-0000-0000-000000000000', `${'0'.repeat(36)}`, "' or true --", '\u0000']) {
      for (const attempt of [
        () => rig.files.get(id, admin),
        () => rig.files.open(id, {}, admin),
        () => rig.files.update(id, {}, admin),
        () => rig.files.delete(id, admin),
        () => rig.files.completeUpload(id, admin),
        () => rig.files.openPublic(id),
        () => rig.files.presignedDownload(id, {}, admin),
      ]) {
        expect([id, await codeOf(attempt())]).toEqual([id, 'file_not_found']);
      }
    }
    const file = await upload(rig, 'x', { tenantContext: acme });
    expect(await codeOf(rig.files.get(file.id, { subject: 'a\u0000', role: 'user', tenant: acme.tenantUuid }))).toBe('validation_failed');
  });
});

describe.each(['embedded', 'debian'] as const)('lists on PostgreSQL (%s)', (server) => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await openRig({ server });
  });
  afterAll(() => rig.close());

  it('have pages of a bounded size, however much metadata the files have', async () => {
    const dave = userOf(globex, 'dave');
    await rig.query(`insert into files (id, tenant_uuid, owner_id, filename, content_type, bucket, storage_key, status, metadata)
      select gen_random_uuid(), '${globex.tenantUuid}', 'dave', repeat('f', 1024), 'text/plain', 'b', 'k', 'available',
        jsonb_build_object('a', array_fill(1, array[8000])) from generate_series(1, 250)`); // 16 KiB as it was sent
    const seen: string[] = [];
    const sizes: number[] = [];
    let cursor: string | undefined;
    do {
      const { files, nextCursor } = await rig.files.list({ access: dave, limit: 1000, cursor });
      seen.push(...files.map(({ id }) => id));
      sizes.push(Buffer.byteLength(JSON.stringify(files)));
      cursor = nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(seen).toHaveLength(250);
    expect(new Set(seen).size).toBe(250);
    expect(seen).toEqual(seen.toSorted().toReversed());
    expect(Math.max(...sizes)).toBeLessThan(3.5 * 2 ** 20);
    expect((await rig.files.list({ access: dave })).files).toHaveLength(100); // the default
    await rig.query(`delete from files where owner_id = 'dave'`);
  });

  it('page from the newest on, and see nothing twice while files come and go', async () => {
    const alice = userOf(acme, 'alice');
    const made: FileRecord[] = [];
    for (let index = 0; index < 25; index++) {
      const mine = index % 2 === 0;
      made.push(await upload(rig, 'x', { tenantContext: acme, ownerId: mine ? 'alice' : 'bob', isPublic: index % 3 === 0 }));
    }
    for (const access of [alice, adminOf(acme), admin]) {
      const expected = made
        .filter((file) => access.role === 'admin' || file.ownerId === 'alice' || file.isPublic)
        .map(({ id }) => id)
        .toReversed();
      const seen: string[] = [];
      const coming: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await rig.files.list({ access, limit: 4, cursor });
        expect(page.files.length).toBeLessThanOrEqual(4);
        seen.push(...page.files.map(({ id }) => id));
        cursor = page.nextCursor ?? undefined;
        coming.push((await upload(rig, 'new', { tenantContext: acme })).id);
      } while (cursor !== undefined);
      expect(seen.filter((id) => expected.includes(id))).toEqual(expected);
      expect(new Set(seen).size).toBe(seen.length);
      for (const id of coming) await rig.files.delete(id, admin);
    }
    expect((await rig.files.list({ access: alice, limit: 1000 })).nextCursor).toBeNull();
    const all = await rig.files.list({ access: admin, limit: 25 });
    expect(all.files).toHaveLength(25);
    expect(all.nextCursor).toBeNull();
  });

  it('refuse limits, cursors and filters that are none', async () => {
    for (const wrong of [
      { limit: 0 },
      { limit: 1001 },
      { limit: 1.5 },
      { limit: Number.NaN },
      { cursor: '' },
      { cursor: 'x' },
      { cursor: '!'.repeat(22) },
      { cursor: 'A'.repeat(23) },
      { status: 'gone' },
      { ownerId: '' },
      { ownerId: 'a\u0000' },
    ]) {
      expect([wrong, await codeOf(rig.files.list({ access: admin, ...(wrong as object) }))]).toEqual([wrong, 'validation_failed']);
    }
  });
});

describe('FileService', () => {
  it('needs a database and a storage', async () => {
    const { database, storage, ...rig } = await openRig();
    for (const options of [{}, { storage }, { database }, { database, storage: null }] as never[])
      expect(() => new FileService(options)).toThrow(expect.objectContaining({ code: 'storage_not_configured' }));
    const tenantContext = null as never; // as from a look-up in vain
    const body = Readable.from(['x']);
    const uploading = new FileService({ database, storage }).uploadFile({ body, filename: 'a', ownerId: 'alice', tenantContext });
    expect(await codeOf(uploading)).toBe('invalid_argument');
    expect(body.destroyed).toBe(true);
    await rig.close();
  });

  it('lets a delete succeed when the provider fails, and the sweep remove the object', async () => {
    const inner = wrapBackend(memoryBackend());
    let broken = true;
    const down = (): Promise<never> => Promise.reject(storageError('storage_unavailable', 'down'));
    const rig = await openRig({ backend: variant(inner, { delete: (at, ctx) => (broken ? down() : inner.delete(at, ctx)) }) });
    const file = await upload(rig, 'hello', { tenantContext: acme });
    await rig.files.delete(file.id, userOf(acme, 'alice'));
    expect(await codeOf(rig.files.get(file.id, admin))).toBe('file_not_found');
    expect(await rig.usage(acme)).toEqual({ bytes: 0, files: 0, reserved: 0 });
    expect(await rig.keys()).toHaveLength(1);
    expect(await rig.files.sweep()).toMatchObject({ deleted: 0, retained: 1 });
    broken = false;
    expect(await rig.files.sweep({ now: new Date(Date.now() + 3_600_000) })).toMatchObject({ deleted: 1, retained: 0 });
    expect(await rig.keys()).toEqual([]);
    await rig.close();
  });

  it('deletes a file where nothing is stored without a tenant', async () => {
    const resolveBucket: StorageServiceOptions['resolveBucket'] = async ({ bucket, tenant }) => {
      if (bucket === undefined && tenant === undefined) throw storageError('tenant_context_required', 'no');
      return bucket === undefined ? { bucket: sharedBucket, because: 'shared' } : { bucket, because: 'explicit' };
    };
    const rig = await openRig({ storage: { resolveBucket } });
    const file = await upload(rig, 'hello', { tenantContext: acme });
    await rig.files.delete(file.id, userOf(acme, 'alice'));
    expect(await codeOf(rig.files.get(file.id, admin))).toBe('file_not_found');
    await rig.close();
  });

  it('labels what it does with the tenant, unless the caller does', async () => {
    const labels: (string | undefined)[] = [];
    const rig = await openRig({
      storage: { observer: { operation: ({ operation, tenant }) => operation === 'upload' && labels.push(tenant) } },
    });
    await upload(rig, 'x', { tenantContext: acme });
    await upload(rig, 'x');
    await rig.files.uploadFile({ body: 'x', filename: 'x', ownerId: 'a', tenantContext: acme }, { tenant: 'other' });
    expect(labels).toEqual(['acme', undefined, 'other']);
    await rig.close();
  });
});
