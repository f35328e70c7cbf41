import { memoryBackend, readAll, storageError } from '@coffer/storage-core';
import { describe, expect, it } from 'vitest';

import { inDays } from './testing/moving.ts';
import { acme, admin, codeOf, openRig, streamOf, upload, variant } from './testing/support.ts';

describe('an upload that is given up', () => {
  it('keeps a tombstone for the sweep when the storage cannot remove what it stored', async () => {
    const inner = memoryBackend();
    let broken = true;
    const backend = variant(inner, {
      delete: (at, ctx) => (broken ? Promise.reject(storageError('storage_unavailable', 'down')) : inner.delete(at, ctx)),
    });
    const rig = await openRig({ backend });
    expect(
      await codeOf(upload(rig, 'abc', { tenantContext: acme, late: () => Promise.reject(storageError('validation_failed', 'no')) })),
    ).toBe('validation_failed');
    expect(await rig.keys()).toHaveLength(1);
    expect(await rig.usage(acme)).toEqual({ bytes: 0, files: 0, reserved: 0 });
    expect(await rig.files.list({ access: admin })).toEqual({ files: [], nextCursor: null });
    broken = false;
    expect(await rig.files.sweep()).toMatchObject({ deleted: 1, retained: 0 });
    expect(await rig.keys()).toEqual([]);
    expect(await rig.query('select 1 from files')).toEqual([]);
    await rig.close();
  });

  const gone = new Error('The client is gone.');
  const refused = storageError('access_denied', 'The retry was refused.', { inDoubt: true });
  it.each([
    ['came whole', () => 'abc', gone],
    ['came in pieces', () => streamOf(['x'.repeat(5000), 'y']), gone],
    ['came before the permission was withdrawn', () => 'abc', refused],
  ])('lets the sweep remove an object that %s, and arrives after its upload was given up', async (_how, body, failure) => {
    const inner = memoryBackend();
    let store: (() => Promise<unknown>) | undefined;
    const backend = variant(inner, {
      put: async (at, sent, options) => {
        // Like a provider that has all bytes when the connection closes, and stores them a little later.
        const data = sent.kind === 'buffer' ? sent.data : await readAll(sent.stream);
        store = () => inner.put(at, { kind: 'buffer', data }, options, {});
        throw failure;
      },
    });
    const rig = await openRig({ backend });
    await expect(upload(rig, '', { tenantContext: acme, body: body() })).rejects.toBe(failure);
    await store?.();
    expect(await rig.keys()).toHaveLength(1);
    expect(await rig.usage(acme)).toEqual({ bytes: 0, files: 0, reserved: 0 });
    expect(await rig.files.sweep()).toMatchObject({ deleted: 0 });
    expect(await rig.files.sweep({ now: inDays(1.05) })).toMatchObject({ deleted: 1, retained: 0 });
    expect(await rig.keys()).toEqual([]);
    expect(await rig.query('select 1 from files')).toEqual([]);
    await rig.close();
  });

  it.each([
    ['is stored, and cannot be removed at once', 1],
    ['is stored after the upload has failed', 0],
  ])('leaves to the next sweep what %s, although a sweep has given up the upload since', async (_what, stored) => {
    const inner = memoryBackend();
    let isRefusing = false;
    let store: (() => Promise<unknown>) | undefined;
    const backend = variant(inner, {
      put: async (...call) => {
        expect(await rig.files.sweep({ now: inDays(2) })).toMatchObject({ expired: 1 });
        if (stored === 0) store = () => inner.put(...call);
        if (stored === 0) throw new Error('The client is gone.');
        isRefusing = true;
        return inner.put(...call);
      },
      delete: (...call) => (isRefusing ? Promise.reject(storageError('access_denied', 'no')) : inner.delete(...call)),
    });
    const rig = await openRig({ backend });
    await expect(upload(rig, 'abc', { tenantContext: acme })).rejects.toThrow();
    await store?.();
    expect(await rig.keys()).toHaveLength(1);
    expect(await rig.files.sweep()).toMatchObject({ deleted: 0, retained: stored });
    isRefusing = false;
    expect(await rig.files.sweep({ now: inDays(2) })).toMatchObject({ deleted: 1, retained: 0 });
    expect(await rig.keys()).toEqual([]);
    expect(await rig.query('select 1 from files')).toEqual([]);
    await rig.close();
  });

  it('leaves to the next sweep what is stored while a sweep gives up the upload, and cannot be removed at once', async () => {
    const inner = memoryBackend();
    const [removed, goesOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let removals = 0;
    const swept = Promise.withResolvers<unknown>();
    const backend = variant(inner, {
      put: async (...call) => {
        swept.resolve(rig.files.sweep({ now: inDays(2) }));
        await removed.promise;
        return inner.put(...call);
      },
      delete: async (...call) => {
        if (++removals === 2) throw storageError('access_denied', 'no');
        await inner.delete(...call);
        removed.resolve();
        if (removals === 1) await goesOn.promise;
      },
    });
    const rig = await openRig({ backend });
    expect(await codeOf(upload(rig, 'abc', { tenantContext: acme }))).toBe('file_not_found');
    goesOn.resolve();
    await swept.promise;
    expect(await rig.keys()).toHaveLength(1);
    expect(await rig.files.sweep({ now: inDays(3) })).toMatchObject({ deleted: 1, retained: 0 });
    expect(await rig.keys()).toEqual([]);
    await rig.close();
  });

  it('does not wait for a storage that does not answer, and leaves the rest to the sweep', async () => {
    const backend = variant(memoryBackend(), {
      put: async () => {
        throw storageError('read_timeout', 'Nothing came.');
      },
      delete: (_at, { signal }) =>
        new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error))),
    });
    const rig = await openRig({ backend });
    expect(await codeOf(upload(rig, 'hello', { tenantContext: acme }))).toBe('read_timeout');
    expect(await rig.query('select status from files')).toEqual([{ status: 'deleted' }]);
    expect(await rig.usage(acme)).toEqual({ bytes: 0, files: 0, reserved: 0 });
    await rig.close();
  }, 30_000);
});
