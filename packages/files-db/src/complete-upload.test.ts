import { createHash } from 'node:crypto';

import { storageError } from '@coffer/storage-core';
import type { StorageBackend } from '@coffer/storage-core';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';

import { connectDatabase, FileService } from './index.ts';
import type { PresignedFileUpload } from './index.ts';
import { alice, openPresignedRig, sha256 } from './testing/presigned.ts';
import type { PresignedRig } from './testing/presigned.ts';
import { acme, bytesOf, codeOf, userOf } from './testing/support.ts';

const day = 86_400_000;

describe.each(['embedded', 'debian'] as const)('completing a presigned upload on PostgreSQL (%s)', (server) => {
  let rig: PresignedRig;
  beforeEach(async () => {
    rig = await openPresignedRig(server);
  });
  afterEach(async () => {
    await rig.usage(acme);
    await rig.close();
  });

  /** Resolves once completing has begun so many times. */
  const attempts = async ({ fileId }: PresignedFileUpload, count: number): Promise<void> =>
    expect.poll(() => rig.query(`select complete_attempts from files where id = '${fileId}'`)).toEqual([{ complete_attempts: count }]);

  it('computes the checksum when the provider does not know it', async () => {
    const strip = <T extends { readonly sha256?: string }>({ sha256: _sum, ...info }: T): Omit<T, 'sha256'> => info;
    rig.replace({
      head: async (at, ctx) => strip(await rig.inner.head(at, ctx)),
      copy: async (from, to, options, ctx) => strip(await rig.inner.copy(from, to, options, ctx)),
    });
    const good = await rig.presign({ sha256: sha256('hello') });
    await rig.send(good, 'hello');
    expect(await rig.complete(good)).toMatchObject({ sha256: sha256('hello') });
    const bad = await rig.presign({ sha256: sha256('hello') });
    await rig.send(bad, 'HELLO');
    expect(await codeOf(rig.complete(bad))).toBe('upload_mismatch');
    const undeclared = await rig.presign();
    await rig.send(undeclared, 'hello');
    expect(await rig.complete(undeclared)).toMatchObject({ sha256: null });
    expect((await rig.keys()).filter((key) => key.includes(bad.fileId))).toEqual([]);
  });

  // As Adobe's S3Mock stores them.
  it.each([
    ['text/plain; charset=utf-8', 'text/plain;charset=UTF-8'],
    ['text/plain; charset="utf-8"', 'text/plain;charset=utf-8'],
    ['text/plain; charset=utf-8; x="a ; b"', 'text/plain;x="a ; b";charset=utf-8'],
  ])('has the announced type %s if the provider spells it %s', async (contentType, stored) => {
    const spelled = <T extends { readonly contentType: string }>(info: T): T => ({ ...info, contentType: stored });
    rig.replace({
      head: async (at, ctx) => spelled(await rig.inner.head(at, ctx)),
      copy: async (from, to, { onlyIf, ...options }, ctx) =>
        spelled(await rig.inner.copy(from, to, { ...options, ...(onlyIf && { onlyIf: (info) => onlyIf(spelled(info)) }) }, ctx)),
    });
    const presigned = await rig.presign({ contentType });
    await rig.send(presigned, 'hello', contentType);
    expect(await rig.complete(presigned)).toMatchObject({ status: 'available', contentType });
  });

  it('has another type if one parameter has another value', async () => {
    const other = <T extends { readonly contentType: string }>(info: T): T => ({
      ...info,
      contentType: 'text/plain;x="a;b";charset=utf-8',
    });
    rig.replace({
      copy: async (from, to, { onlyIf, ...options }, ctx) =>
        rig.inner.copy(from, to, { ...options, ...(onlyIf && { onlyIf: (info) => onlyIf(other(info)) }) }, ctx),
    });
    const contentType = 'text/plain; charset=utf-8; x="a;c"';
    const presigned = await rig.presign({ contentType });
    await rig.send(presigned, 'hello', contentType);
    expect(await codeOf(rig.complete(presigned))).toBe('upload_mismatch');
  });

  it('finishes without its caller once it has begun to copy, and may then be repeated', async () => {
    const leaving = new AbortController();
    const presigned = await rig.presign({ sha256: sha256('hello') });
    await rig.send(presigned, 'hello');
    rig.replace({
      copy: async (from, to, options, ctx) => {
        leaving.abort(new Error('gone'));
        ctx.signal?.throwIfAborted();
        return rig.inner.copy(from, to, options, ctx);
      },
    });
    const file = await rig.files.completeUpload(presigned.fileId, alice, { signal: leaving.signal });
    expect(file).toMatchObject({ status: 'available' });
    expect(await rig.complete(presigned)).toEqual(file);
    expect((await rig.keys()).filter((key) => key.includes(presigned.fileId))).toEqual([expect.stringMatching(file.storageKey)]);
  });

  it('is stored as whatever is stored by default', async () => {
    const cold = await openPresignedRig(server, { defaultStorageClass: 'STANDARD_IA' });
    const presigned = await cold.presign();
    await cold.send(presigned, 'hello');
    const { bucket, storageKey: key } = await cold.complete(presigned);
    expect(await cold.storage.getFileInfo({ bucket, key })).toMatchObject({ storageClass: 'STANDARD_IA', size: 5 });
    await cold.close();
  });

  it('verifies the copy, and so notices bytes that were swapped just before it', async () => {
    // The provider ignores the condition of a copy, and the client overwrites the object just before it.
    for (const [swapped, code] of [
      ['hell', 'upload_mismatch'],
      ['HELLO', 'upload_mismatch'],
    ] as const) {
      const presigned = await rig.presign({ sha256: sha256('hello') });
      await rig.send(presigned, 'hello');
      rig.replace({
        copy: async (from, to, _options, ctx) => {
          await rig.send(presigned, swapped);
          return rig.inner.copy(from, to, {}, ctx);
        },
      });
      expect(await codeOf(rig.complete(presigned))).toBe(code);
      expect((await rig.keys()).filter((key) => key.includes(presigned.fileId))).toEqual([]);
      expect(await rig.files.get(presigned.fileId, alice)).toMatchObject({ status: 'failed' });
    }
    // Without a checksum, any bytes of that size and type will do; the copied ones are the file.
    const presigned = await rig.presign();
    await rig.send(presigned, 'hello');
    rig.replace({
      copy: async (from, to, _options, ctx) => {
        await rig.send(presigned, 'HELLO');
        return rig.inner.copy(from, to, {}, ctx);
      },
    });
    const file = await rig.complete(presigned);
    expect(file).toMatchObject({ etag: createHash('md5').update('HELLO').digest('hex'), sha256: sha256('HELLO') });
    expect(await bytesOf(rig, file)).toBe('HELLO');
  });

  it('records the checksum of the copied bytes, even if other bytes have the same ETag', async () => {
    // Two blocks of one MD5, by Wang, Feng, Lai and Yu (2004): they differ in the highest bits of six bytes.
    const first = Buffer.from(
      `d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f8955ad340609f4b30283e488832571415a085125e8f7cdc99fd91dbdf280373c5b
       d8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70`
        .split(/\s+/)
        .join(''),
      'hex',
    );
    const second = Buffer.from(first);
    for (const at of [19, 45, 59, 83, 109, 123]) second[at] = second[at]! ^ 0x80;
    const sum = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
    expect(createHash('md5').update(second).digest('hex')).toBe(createHash('md5').update(first).digest('hex'));
    const presign = (more: { readonly sha256?: string } = {}) => rig.presign({ sizeBytes: first.length, ...more });
    const swap = async (presigned: Awaited<ReturnType<typeof presign>>): Promise<void> => {
      const at = { bucket: 'acme-uploads', key: presigned.uploadFields['key']! };
      await rig.inner.put(at, { kind: 'buffer', data: first }, { contentType: 'text/plain' }, {});
      rig.replace({
        copy: async (from, to, options, ctx) => {
          await rig.inner.put(at, { kind: 'buffer', data: second }, { contentType: 'text/plain' }, {});
          return rig.inner.copy(from, to, options, ctx);
        },
      });
    };
    const declared = await presign({ sha256: sum(first) });
    await swap(declared);
    expect(await codeOf(rig.complete(declared))).toBe('upload_mismatch');
    const undeclared = await presign();
    await swap(undeclared);
    expect(await rig.complete(undeclared)).toMatchObject({ sha256: sum(second) });
  });

  it('tries again when the object is overwritten between the check and the copy', async () => {
    const presigned = await rig.presign();
    await rig.send(presigned, 'hello');
    let swaps = 0;
    rig.replace({
      copy: async (from, to, options, ctx) => {
        if (swaps++ === 0) await rig.send(presigned, 'HELLO');
        return rig.inner.copy(from, to, options, ctx);
      },
    });
    const file = await rig.complete(presigned);
    expect(await bytesOf(rig, file)).toBe('HELLO');
    const busy = await rig.presign();
    rig.replace({ copy: () => Promise.reject(storageError('precondition_failed', 'changed')) });
    await rig.send(busy, 'hello');
    expect(await codeOf(rig.complete(busy))).toBe('storage_unavailable');
    rig.replace({});
    expect(await rig.complete(busy)).toMatchObject({ status: 'available' });
  });

  it('sends no HEAD request: the copy checks the object', async () => {
    const looks: string[] = [];
    const counting: Partial<StorageBackend> = {
      head: (at, ctx) => (looks.push(at.key), rig.inner.head(at, ctx)),
      delete: (at, ctx) => (looks.push(at.key), rig.inner.delete(at, ctx)),
    };
    const [good, bad, none] = [await rig.presign(), await rig.presign({ sizeBytes: 4 }), await rig.presign()];
    for (const presigned of [good, bad]) await rig.send(presigned, 'hello');
    rig.replace(counting);
    await rig.complete(good);
    expect(await codeOf(rig.complete(bad))).toBe('upload_mismatch');
    expect(await codeOf(rig.complete(none))).toBe('upload_not_found');
    expect(looks).toEqual([good.uploadFields['key'], bad.uploadFields['key']]); // the removals
    looks.length = 0;
    rig.replace({ ...counting, copy: () => Promise.reject(storageError('storage_unavailable', 'away')) });
    expect(await codeOf(rig.complete(none))).toBe('storage_unavailable');
    expect(looks).toEqual([]);
  });

  it('becomes one file when it is completed many times at once', async () => {
    const presigned = await rig.presign();
    await rig.send(presigned, 'hello');
    const copy: StorageBackend['copy'] = async (from, to, options, ctx) => {
      await new Promise((resolve) => setTimeout(resolve, 20)); // makes them overlap
      return rig.inner.copy(from, to, options, ctx);
    };
    rig.replace({ copy });
    const others = Array.from({ length: 3 }, () => new FileService({ database: rig.database, storage: rig.storage })); // of other processes
    const completing = [rig.files, ...others].map(async (files) => files.completeUpload(presigned.fileId, alice));
    const records = await Promise.all([...completing, ...Array.from({ length: 8 }, () => rig.complete(presigned))]);
    for (const record of records) expect(record).toEqual(records[0]);
    expect(await rig.keys()).toEqual([`acme-uploads/${records[0]!.storageKey}`]);
    expect(await rig.usage(acme)).toEqual({ bytes: 5, files: 1, reserved: 0 });
  });

  it('is copied once by one process, however often it is completed at once', async () => {
    const presigned = await rig.presign();
    await rig.send(presigned, 'hello');
    const begun = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    let copies = 0;
    rig.replace({
      copy: async (from, to, options, ctx) => {
        copies++;
        begun.resolve();
        await released.promise;
        return rig.inner.copy(from, to, options, ctx);
      },
    });
    const completing = Array.from({ length: 8 }, () => rig.complete(presigned));
    await begun.promise;
    await attempts(presigned, 8);
    expect(await codeOf(rig.files.completeUpload(presigned.fileId, userOf(acme, 'bob')))).toBe('file_not_found');
    released.resolve();
    const records = await Promise.all(completing);
    for (const record of records) expect(record).toEqual(records[0]);
    expect(copies).toBe(1);
  });

  it('finds what arrived while an earlier call was looking', async () => {
    const presigned = await rig.presign();
    const begun = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    rig.replace({
      copy: async () => {
        begun.resolve();
        await released.promise;
        throw storageError('file_not_found', 'It was not there.');
      },
    });
    const early = codeOf(rig.complete(presigned));
    await begun.promise;
    rig.replace({});
    await rig.send(presigned, 'hello');
    const late = Array.from({ length: 8 }, () => rig.complete(presigned));
    await attempts(presigned, 9);
    released.resolve();
    for (const file of await Promise.all(late)) expect(file).toMatchObject({ status: 'available' });
    expect(['upload_not_found', 'resolved']).toContain(await early);
  });

  it('tells each of many calls at once that nothing has arrived', async () => {
    const presigned = await rig.presign();
    const codes = await Promise.all(Array.from({ length: 12 }, () => codeOf(rig.complete(presigned))));
    expect(new Set(codes)).toEqual(new Set(['upload_not_found']));
  });

  it('may be deleted while it is being completed', async () => {
    const presigned = await rig.presign();
    await rig.send(presigned, 'hello');
    rig.replace({
      copy: async (from, to, options, ctx) => {
        const copied = await rig.inner.copy(from, to, options, ctx);
        await rig.files.delete(presigned.fileId, alice);
        return copied;
      },
    });
    expect(await codeOf(rig.complete(presigned))).toBe('file_not_found');
    expect(await rig.keys()).toEqual([]);
    expect(await rig.usage(acme)).toEqual({ bytes: 0, files: 0, reserved: 0 });
  });

  it.each([
    { what: 'one copy', attempts: 1, bytes: 'hello', isLost: false, ends: 'file_not_found' },
    { what: 'two copies', attempts: 2, bytes: 'hello', isLost: false, ends: 'file_not_found' },
    { what: 'a copy of other bytes', attempts: 1, bytes: 'HELLO!', isLost: false, ends: 'file_not_found' },
    { what: 'a copy whose answer is lost', attempts: 1, bytes: 'hello', isLost: true, ends: 'read_timeout' },
  ])('leaves to the next sweep $what that cannot be removed, although one gave up the upload since', async (copy) => {
    const { attempts, bytes, isLost, ends } = copy;
    const presigned = await rig.presign();
    await rig.send(presigned, 'hello');
    const allBegun = Promise.withResolvers<void>();
    let begun = 0;
    const sweep = async (): Promise<unknown> => {
      await rig.expire(presigned);
      return rig.files.sweep({ now: new Date(Date.now() + 2 * day) });
    };
    let swept: Promise<unknown> | undefined;
    rig.replace({
      copy: async (from, to, { onlyIf }) => {
        expect(onlyIf?.(await rig.inner.head(from, {}))).toBe(true);
        if (++begun === attempts) allBegun.resolve();
        await allBegun.promise;
        expect(await (swept ??= sweep())).toMatchObject({ expired: 1 });
        const copied = await rig.inner.put(to, { kind: 'buffer', data: Buffer.from(bytes) }, { contentType: 'text/plain' }, {});
        rig.replace({ delete: () => Promise.reject(storageError('access_denied', 'no')) });
        if (isLost) throw storageError('read_timeout', 'Nothing came.');
        return copied;
      },
    });
    const completing = Array.from({ length: attempts }, async () => {
      const files = new FileService({ database: rig.database, storage: rig.storage }); // of another process
      return codeOf(files.completeUpload(presigned.fileId, alice));
    });
    expect(new Set(await Promise.all(completing))).toEqual(new Set([ends]));
    expect(await rig.keys()).toHaveLength(attempts);
    rig.replace({});
    if (isLost) expect(await rig.files.sweep()).toMatchObject({ deleted: 0 }); // the provider may still be copying
    expect(await rig.files.sweep({ now: new Date(Date.now() + (isLost ? 2 * day : 0)) })).toMatchObject({ deleted: 1 });
    expect(await rig.keys()).toEqual([]);
  });

  it('keeps the copy when the database makes it the file after the connection was given up', async () => {
    const presigned = await rig.presign();
    await rig.send(presigned, 'hello');
    await using database = connectDatabase({ url: rig.url, answerTimeout: 1 });
    const files = new FileService({ database, storage: rig.storage });
    const holder = await rig.database.sql.reserve();
    await holder`begin`;
    await holder`select 1 from tenant_usage where tenant_uuid = ${acme.tenantUuid} for update`;
    expect(await codeOf(files.completeUpload(presigned.fileId, alice))).toBe('storage_unavailable');
    await holder`commit`; // the statement is still waiting for this
    holder.release();
    await expect.poll(() => rig.files.get(presigned.fileId, alice)).toMatchObject({ status: 'available' });
    expect(await bytesOf(rig, await rig.complete(presigned))).toBe('hello');
    await rig.expire(presigned);
    expect(await rig.files.sweep({ now: new Date(Date.now() + 2 * day) })).toMatchObject({ received: 1 });
    expect(await bytesOf(rig, await rig.complete(presigned))).toBe('hello');
  });

  it('is completed by a process whose clock differs from that of the one that issued the form', async () => {
    const hours = (count: number): Date => new Date(Date.now() + count * 3_600_000);
    vi.useFakeTimers({ toFake: ['Date'], now: hours(-5) });
    onTestFinished(() => void vi.useRealTimers());
    const behind = await rig.presign();
    vi.setSystemTime(hours(10)); // five hours ahead
    const ahead = await rig.presign();
    vi.useRealTimers();
    for (const presigned of [behind, ahead]) await rig.send(presigned, 'hello');
    expect(await rig.complete(behind)).toMatchObject({ status: 'available' });
    vi.useFakeTimers({ toFake: ['Date'], now: hours(20) });
    expect(await rig.complete(ahead)).toMatchObject({ status: 'available' });
  });

  it('fails after the expiry when nothing arrived in time, and succeeds when something did', async () => {
    const [nothing, early, late] = [await rig.presign(), await rig.presign(), await rig.presign()];
    await rig.send(early, 'hello');
    await rig.send(late, 'hello');
    await rig.expire(nothing);
    await rig.query(`update files set expires_at = now() + interval '40 ms' where id = '${early.fileId}'`);
    await rig.expire(late);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(await codeOf(rig.complete(nothing))).toBe('upload_expired');
    expect(await rig.complete(early)).toMatchObject({ status: 'available' });
    expect(await codeOf(rig.complete(late))).toBe('upload_expired');
    expect(await rig.usage(acme)).toEqual({ bytes: 5, files: 1, reserved: 10 });
    expect(await rig.files.sweep({ now: new Date(Date.now() + 2 * day) })).toMatchObject({ expired: 2, received: 1 });
    expect(await rig.usage(acme)).toEqual({ bytes: 5, files: 1, reserved: 0 });
    expect(await rig.keys()).toHaveLength(1);
  });
});
