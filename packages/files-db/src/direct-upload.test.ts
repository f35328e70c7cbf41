import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import { storageError, StorageService } from '@coffer/storage-core';
import type { StorageServiceOptions } from '@coffer/storage-core';
import { drizzle } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { acme, admin, bytesOf, codeOf, defaultBucket, globex, openRig, streamOf, upload, userOf, variant } from './testing/support.ts';
import type { Rig } from './testing/support.ts';
import { connectDatabase, FileService } from './index.ts';

const MiB = 1024 * 1024;
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

describe.each(['embedded', 'debian'] as const)('uploadFile on PostgreSQL (%s)', (server) => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await openRig({ server });
    await rig.tenants.create(acme);
    await rig.tenants.create(globex);
  });
  afterAll(() => rig.close());
  afterEach(async () => {
    // After any test, usage is the sum of the rows, and every key has a row.
    const rows = await rig.query<{ at: string }>(
      `select bucket || '/' || storage_key as at from files where status = 'available' order by 1`,
    );
    expect(await rig.keys()).toEqual(rows.map(({ at }) => at).toSorted());
    for (const tenant of [acme, globex]) expect(await rig.usage(tenant)).toMatchObject({ reserved: 0 });
    await rig.query('delete from files; update tenant_usage set used_bytes = 0, used_files = 0, quota_bytes = null');
    for (const { name: bucket } of await rig.storage.listBuckets()) {
      for await (const { key } of rig.storage.listFiles({ bucket })) await rig.storage.deleteFile({ bucket, key });
    }
  });

  it('keeps a file in the bucket of its tenant, under a key of its own making', async () => {
    const file = await upload(rig, 'hello', { tenantContext: acme, filename: '../../etc/päss wd.txt', metadata: { a: [1, 'ü', null] } });
    expect(file).toMatchObject({
      filename: '../../etc/päss wd.txt',
      contentType: 'text/plain',
      sizeBytes: 5,
      bucket: 'acme-uploads',
      storageKey: `files/${file.id}`,
      ownerId: 'alice',
      tenantUuid: acme.tenantUuid,
      isPublic: false,
      status: 'available',
      etag: createHash('md5').update('hello').digest('hex'),
      sha256: sha256('hello'),
      metadata: { a: [1, 'ü', null] },
    });
    expect(Math.abs(Date.now() - file.createdAt.getTime())).toBeLessThan(60_000);
    expect(await bytesOf(rig, file)).toBe('hello');
    expect(await rig.usage(acme)).toEqual({ bytes: 5, files: 1, reserved: 0 });
    expect(await rig.files.get(file.id, userOf(acme, 'alice'))).toEqual(file);
  });

  it('keeps a file without a tenant in the default bucket', async () => {
    const file = await upload(rig, 'hello');
    expect(file).toMatchObject({ bucket: defaultBucket, tenantUuid: null });
    expect(await rig.files.get(file.id, userOf(undefined, 'alice'))).toEqual(file);
    expect(await codeOf(rig.files.get(file.id, userOf(acme, 'alice')))).toBe('file_not_found');
  });

  it('takes what a library user holds: a drizzle database and a tenant that nobody registered', async () => {
    const client = postgres(rig.url, { max: 1, onnotice: () => {} });
    const files = new FileService({ db: drizzle(client), storage: rig.storage });
    const tenantContext = { tenantUuid: 'abc-123', tenantSlug: 'initech' };
    const file = await files.uploadFile({
      body: Buffer.from('report'),
      filename: 'report.pdf',
      contentType: 'application/pdf',
      ownerId: 'user-123',
      isPublic: false,
      acl: 'private',
      tenantContext,
    });
    expect(file).toMatchObject({ bucket: 'initech-uploads', contentType: 'application/pdf', metadata: {} });
    expect(await files.get(file.id, { subject: 'user-123', role: 'user', tenant: 'abc-123' })).toEqual(file);
    expect((await rig.tenants.find('initech')).tenantUuid).toBe('abc-123');
    await client.end();
  });

  it('works behind a pooler, with statements that have no names', async () => {
    const database = connectDatabase({ url: `${rig.url}?prepare=false` });
    const files = new FileService({ database, storage: rig.storage });
    const made = await Promise.all(
      Array.from({ length: 5 }, () =>
        files.uploadFile({ body: 'x', filename: 'x', ownerId: 'alice', tenantContext: acme, metadata: { a: 1 } }),
      ),
    );
    expect((await files.list({ access: userOf(acme, 'alice') })).files).toHaveLength(5);
    for (const { id } of made) await files.delete(id, userOf(acme, 'alice'));
    expect(await rig.usage(acme)).toEqual({ bytes: 0, files: 0, reserved: 0 });
    await database.close();
  });

  it('takes streams of any kind and length, and counts what passed', async () => {
    for (const [body, size] of [
      [streamOf([]), 0],
      [streamOf(['a']), 1],
      [streamOf(['ab', 'c'.repeat(5000), 'd']), 5003],
      [new Blob(['blob']), 4],
      [new Response('web').body!, 3],
      [Buffer.alloc(2 * MiB), 2 * MiB],
    ] as const) {
      const file = await rig.files.uploadFile({ body, filename: 'x', ownerId: 'alice', tenantContext: acme });
      expect(file.sizeBytes).toBe(size);
    }
    expect(await rig.usage(acme)).toMatchObject({ bytes: 5011 + 2 * MiB, files: 6 });
  });

  it.each([10, 300])('refuses a second upload of a stream of %i pieces that is being stored', async (pieces) => {
    const bytes = async function* (half: () => void): AsyncGenerator<Uint8Array> {
      for (let index = 0; index < pieces; index++) {
        if (index === pieces / 2) half();
        await delay(1);
        yield new Uint8Array(1000);
      }
    };
    const streams = [
      (half: () => void) => Readable.from(bytes(half), { objectMode: false }),
      (half: () => void) => Readable.from(bytes(half)),
      bytes,
    ];
    await rig.tenants.update(acme.tenantSlug, { quotaBytes: 10 * MiB }); // so that bodies are metered
    for (const stream of streams) {
      const half = Promise.withResolvers<void>();
      const body = stream(half.resolve);
      const file = { body, filename: 'x', ownerId: 'alice' };
      const first = rig.files.uploadFile({ ...file, tenantContext: acme });
      const uploads = [first, rig.files.uploadFile(file), half.promise.then(() => rig.files.uploadFile(file))];
      const [stored, ...refused] = await Promise.allSettled(uploads);
      expect(stored).toMatchObject({ status: 'fulfilled', value: { sizeBytes: pieces * 1000 } });
      for (const each of refused) expect(each).toMatchObject({ status: 'rejected', reason: { code: 'invalid_argument' } });
    }
  });

  it('applies form fields that follow the file', async () => {
    const order: string[] = [];
    const file = await upload(rig, 'x', {
      tenantContext: acme,
      metadata: { early: 1 },
      body: (async function* () {
        yield Buffer.from('x');
        order.push('body');
      })(),
      late: async () => {
        order.push('late');
        return { ownerId: 'bob', isPublic: true, metadata: { late: 2 } };
      },
    });
    expect(order).toEqual(['body', 'late']);
    expect(file).toMatchObject({ ownerId: 'bob', isPublic: true, metadata: { late: 2 }, status: 'available' });
    expect(await upload(rig, 'x', { metadata: { early: 1 }, late: async () => ({}) })).toMatchObject({
      ownerId: 'alice',
      metadata: { early: 1 },
    });
  });

  describe('leaves nothing behind', () => {
    const nothing = async (failing: Promise<unknown>, code: string | RegExp): Promise<void> => {
      expect(await codeOf(failing)).toMatch(code);
      expect(await rig.query('select 1 from files')).toEqual([]);
      expect(await rig.keys()).toEqual([]);
      expect(await rig.usage(acme)).toEqual({ bytes: 0, files: 0, reserved: 0 });
    };
    const failure = Object.assign(new Error('The client left.'), { code: 'ECONNRESET' });

    it('when the body fails at once, late, or is shorter or longer than announced', async () => {
      await nothing(upload(rig, '', { tenantContext: acme, body: streamOf([], failure) }), 'ECONNRESET');
      await nothing(upload(rig, '', { tenantContext: acme, body: streamOf(['x'.repeat(9000)], failure) }), 'ECONNRESET');
      await nothing(upload(rig, '', { tenantContext: acme, body: streamOf(['x'.repeat(9000)], failure), sizeHint: 10_000 }), 'ECONNRESET');
      await nothing(upload(rig, '', { tenantContext: acme, body: streamOf(['x']), size: 2 }), 'invalid_argument');
      await nothing(upload(rig, '', { tenantContext: acme, body: streamOf(['x'.repeat(9000)]), size: 9001 }), 'invalid_argument');
      await nothing(upload(rig, '', { tenantContext: acme, body: streamOf(['x'.repeat(9000)]), size: 8999 }), 'invalid_argument');
      await nothing(upload(rig, 'abc', { tenantContext: acme, size: 2 }), 'invalid_argument');
    });

    it.each([
      ['is shrunk', (memory: ArrayBuffer): unknown => memory.resize(10)],
      ['is transferred elsewhere', (memory: ArrayBuffer): unknown => structuredClone(memory, { transfer: [memory] })],
    ])('when the memory of the body %s meanwhile', async (_how, take) => {
      for (const steps of [0, 5, 10, 20, 40, 80]) {
        const memory = new ArrayBuffer(9000, { maxByteLength: 9000 });
        const uploading = upload(rig, '', { tenantContext: acme, body: new Uint8Array(memory, 0, 9000) });
        for (let step = 0; step < steps; step++) await Promise.resolve();
        take(memory);
        await nothing(uploading, 'invalid_argument');
      }
    });

    it('when the body is closed before its end', async () => {
      const body = streamOf(['x'.repeat(9000), 'y']);
      setImmediate(() => body.destroy());
      // Who notices depends on whether the first bytes had arrived by then.
      await nothing(upload(rig, '', { tenantContext: acme, body }), /^(?:invalid_argument|ERR_STREAM_PREMATURE_CLOSE)$/);
    });

    it('when the caller gives up, whatever the body does', async () => {
      for (const chunks of [[], ['x'.repeat(9000)]]) {
        const controller = new AbortController();
        const body = streamOf(chunks);
        body.push = (
          (push) => (chunk: unknown) =>
            chunk === null ? true : push.call(body, chunk)
        )(body.push); // never ends
        const uploading = rig.files.uploadFile(
          { body, filename: 'x', ownerId: 'alice', tenantContext: acme },
          { signal: controller.signal },
        );
        uploading.catch(() => {});
        await delay(50);
        controller.abort(Object.assign(new Error('gone'), { code: 'gone' }));
        await nothing(uploading, 'gone');
      }
    });

    it('when the caller gives up while the form fields do not come', async () => {
      const controller = new AbortController();
      const late = (): Promise<never> => {
        controller.abort(Object.assign(new Error('gone'), { code: 'gone' }));
        return new Promise(() => {});
      };
      const file = { body: 'hello', filename: 'x', ownerId: 'alice', tenantContext: acme, late };
      await nothing(rig.files.uploadFile(file, { signal: controller.signal }), 'gone');
    });

    it('when a checksum is another one', async () => {
      await nothing(upload(rig, 'abc', { tenantContext: acme, sha256: sha256('abd') }), 'checksum_mismatch');
      await nothing(upload(rig, 'abc', { tenantContext: acme, md5: '0'.repeat(32) }), 'checksum_mismatch');
      await nothing(upload(rig, 'abc', { tenantContext: acme, sha256: 'nonsense' }), 'validation_failed');
    });

    it('when the form fields after the file are wrong or fail', async () => {
      const late = (fields: unknown) => async () => fields as { ownerId: string };
      await nothing(upload(rig, 'abc', { tenantContext: acme, late: late({ ownerId: 'a\u0000b' }) }), 'validation_failed');
      await nothing(upload(rig, 'abc', { tenantContext: acme, late: late({ metadata: [] }) }), 'validation_failed');
      await nothing(upload(rig, 'abc', { tenantContext: acme, late: () => Promise.reject(storageError('forbidden', 'no')) }), 'forbidden');
    });

    it('when the file is deleted, or its tenant, while it is being uploaded', async () => {
      const pending = upload(rig, 'abc', {
        tenantContext: acme,
        late: async () => {
          const [row] = await rig.query<{ id: string }>(`select id from files where status = 'pending'`);
          await rig.files.delete(row!.id, admin);
          return {};
        },
      });
      expect(await codeOf(pending)).toBe('file_not_found');
      expect(await rig.keys()).toEqual([]);
      expect(await rig.usage(acme)).toEqual({ bytes: 0, files: 0, reserved: 0 });
      await rig.files.sweep({ olderThanSeconds: 0, now: new Date(Date.now() + 1000) });
      expect(await rig.query('select 1 from files')).toEqual([]);
    });

    it('when the file is deleted, and the upload fails since its parts are gone', async () => {
      const failing = variant(rig.backend, {
        async put() {
          const [row] = await rig.query<{ id: string }>(`select id from files where status = 'pending'`);
          await rig.files.delete(row!.id, admin);
          throw storageError('storage_unavailable', 'There is no such multipart upload.');
        },
      });
      const storage = new StorageService({ backend: failing, defaultBucket: 'acme-uploads' });
      const files = new FileService({ database: rig.database, storage });
      const pending = files.uploadFile({ body: 'x', filename: 'a', contentType: 'text/plain', ownerId: 'alice', tenantContext: acme });
      expect(await codeOf(pending)).toBe('file_not_found');
      await rig.files.sweep({ olderThanSeconds: 0, now: new Date(Date.now() + 1000) });
      expect(await rig.query('select 1 from files')).toEqual([]);
    });
  });

  it('refuses names and metadata that it could not give back', async () => {
    const deep = (depth: number): unknown => (depth === 0 ? 1 : { a: deep(depth - 1) });
    for (const wrong of [
      { filename: '' },
      { filename: 'x'.repeat(1025) },
      { filename: 'a\u0000b' },
      { filename: 'a\nb' },
      { filename: '\ud800' },
      { ownerId: '' },
      { ownerId: 'a\u0000b' },
      { metadata: { a: 'b\u0000' } },
      { metadata: { 'a\u0000': 1 } },
      { metadata: { a: '\udc00' } },
      { metadata: { a: 'x'.repeat(17_000) } },
      { metadata: { a: Infinity } },
      { metadata: deep(40) },
      { metadata: [] },
      { metadata: 'text' },
      { isPublic: 'yes' },
      { sizeHint: -1 },
      { tenantContext: { tenantUuid: 'a\u0000', tenantSlug: 'b' } },
    ]) {
      expect([wrong, await codeOf(upload(rig, 'x', wrong as object))]).toEqual([wrong, 'validation_failed']);
    }
    const odd = {
      filename: `"; drop table files; -- \\ %00 ${'🗄️'.repeat(10)}`,
      metadata: { '\\u0000': '\\u0000', "'": '{"}', deep: deep(20) },
    };
    expect(await upload(rig, 'x', odd as object)).toMatchObject(odd);
  });
});

describe('uploadFile', () => {
  it('refuses metadata whose contents JSON would drop, and says what to do; dates are kept as JSON strings', async () => {
    const rig = await openRig();
    const lost = [
      new Map([['a', 1]]),
      new Set([1]),
      new Error('x'),
      /a/,
      new WeakMap(),
      Promise.resolve(1),
      new Uint8Array([1]),
      Object(1n),
      { toJSON: () => new Map([['a', 1]]) },
      Object.create(Object.create(Object.create(null))), // its class has no name
    ];
    for (const value of lost) {
      const late = async (): Promise<object> => ({ metadata: { value } });
      for (const more of [{ metadata: value }, { metadata: { value } }, { metadata: { a: [{ value }] } }, { late }]) {
        await expect(upload(rig, 'x', more as object)).rejects.toMatchObject({ name: 'InvalidArgumentError', code: 'invalid_argument' });
      }
    }
    await expect(upload(rig, 'x', { metadata: { tags: new Map() } })).rejects.toThrow(
      'The metadata contains an object of the class Map, whose contents JSON would drop; make it a plain object or an array, as with Object.fromEntries(map) or [...set].',
    );
    const presigned = { filename: 'a', contentType: 'text/plain', sizeBytes: 1, ownerId: 'alice' };
    await expect(rig.files.createPresignedUpload({ ...presigned, metadata: { a: new Set() } })).rejects.toThrow('Set');
    expect(await rig.query('select 1 from files')).toEqual([]);

    for (const metadata of [new Date(0), new URL('http://a'), { a: { toJSON: () => '\u0000' } }, { a: { toJSON: () => undefined } }]) {
      expect(await codeOf(upload(rig, 'x', { metadata: metadata as never }))).toBe('validation_failed');
    }
    await expect(upload(rig, 'x', { metadata: { at: new Date(NaN) } })).rejects.toMatchObject({
      code: 'invalid_argument',
      message: 'The metadata contains an invalid Date.',
    });
    class Point {
      readonly x = 1;
    }
    const kept = {
      at: new Date(0),
      url: new URL('http://a/'),
      point: new Point(),
      bare: Object.assign(Object.create(null), { b: 1 }),
      none: {},
      empty: [],
      named: { toJSON: (key: string) => key.toUpperCase() },
      list: Object.assign(['a'], { toJSON: () => 'a' }),
    };
    expect((await upload(rig, 'x', { metadata: kept })).metadata).toEqual(JSON.parse(JSON.stringify(kept)));
    await rig.close();
  });

  it('names every wrong field at once', async () => {
    const rig = await openRig();
    const failed = await upload(rig, 'x', { filename: '', ownerId: '', metadata: [] as never }).catch(
      (error: unknown) => error as { errors: readonly { field: string }[] },
    );
    expect((failed as { errors: readonly { field: string }[] }).errors.map(({ field }) => field)).toEqual([
      'filename',
      'owner_id',
      'metadata',
    ]);
    await rig.close();
  });

  it('takes the bucket that the storage has for a tenant, if nobody says that the database has it', async () => {
    const rig = await openRig();
    const resolveBucket: StorageServiceOptions['resolveBucket'] = async ({ bucket = 'theirs' }) => ({ bucket, because: 'tenant_mapping' });
    const storage = new StorageService({ backend: rig.backend, autoProvision: true, resolveBucket });
    const files = new FileService({ database: rig.database, storage });
    const file = { body: 'x', filename: 'x', ownerId: 'alice', tenantContext: acme };
    expect(await files.uploadFile(file)).toMatchObject({ bucket: 'theirs', tenantUuid: acme.tenantUuid });
    await rig.close();
  });

  it('takes no files for a tenant that is being deleted', async () => {
    const rig = await openRig({ cacheSeconds: 60 });
    await upload(rig, 'x', { tenantContext: acme });
    await rig.query(`update tenant_usage set closed = true`);
    const uploads = Array.from({ length: 3 }, () => codeOf(upload(rig, 'x', { tenantContext: acme }))); // reserved in one statement, then one by one
    expect(new Set(await Promise.all(uploads))).toEqual(new Set(['tenant_not_found']));
    await rig.close();
  });

  it('gives ids in the order of their making', async () => {
    const rig = await openRig();
    const ids: string[] = [];
    for (let index = 0; index < 30; index++) ids.push((await upload(rig, 'x')).id);
    expect(ids).toEqual(ids.toSorted());
    expect(ids.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id))).toBe(true);
    await rig.close();
  });
});
