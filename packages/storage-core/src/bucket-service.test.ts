import { Readable } from 'node:stream';

import { beforeEach, describe, expect, it } from 'vitest';

import type { PresignedUpload, StorageBackend } from './backend.ts';
import { noContext } from './context.ts';
import { storageError } from './errors.ts';
import { wrapBackend } from './layers/wrap-backend.ts';
import { memoryBackend } from './memory-backend.ts';
import type { ObjectAddress } from './object.ts';
import { StorageService } from './storage-service.ts';

let backend: StorageBackend;
let service: StorageService;
beforeEach(() => {
  backend = memoryBackend({ buckets: ['main', 'other'] });
  service = new StorageService({ backend, defaultBucket: 'main' });
});

describe('buckets and ACLs', () => {
  it('are created, reported and deleted', async () => {
    service = new StorageService({ backend, region: 'eu-west-1' });
    expect(await service.createBucket({ bucket: 'new-one', acl: 'public-read' })).toMatchObject({ name: 'new-one', region: 'eu-west-1' });
    expect((await service.getBucketAcl('new-one')).grants.length).toBe(2);
    const inherited = Object.create({ bucket: 'heir', acl: 'public-read' }) as { readonly bucket: string };
    expect(await service.createBucket(inherited)).toMatchObject({ name: 'heir' });
    expect((await service.getBucketAcl('heir')).grants.length).toBe(2);
    await service.deleteBucket('heir');
    expect((await service.setBucketAcl('new-one', 'private')).grants.length).toBe(1);
    expect((await service.listBuckets()).map((bucket) => bucket.name)).toEqual(['main', 'new-one', 'other']);
    expect([await service.bucketExists('new-one'), await service.bucketExists('missing')]).toEqual([true, false]);
    expect(await service.getBucketInfo('new-one')).toMatchObject({ name: 'new-one' });
    await service.uploadFile({ bucket: 'new-one', key: 'k', body: '' });
    await expect(service.deleteBucket('new-one')).rejects.toMatchObject({ code: 'bucket_not_empty' });
    await service.deleteBucket('new-one', { force: true });
    await expect(service.getBucketInfo('new-one')).rejects.toMatchObject({ code: 'no_such_bucket' });
  });

  it.each([
    { id: '\ud800', prefix: 'tmp/' },
    { id: 'old', prefix: 'tmp\ud800/' },
    { id: 'old', prefix: 'tmp\0/' },
    { id: 'old', prefix: 'ü'.repeat(513) },
    { id: 'good', prefix: 'other/' },
    { id: 'old', prefix: '', expireDays: 1.5 },
    { id: 'old', prefix: '', expireDays: 0 },
    { id: 'old', prefix: '', abortMultipartDays: Number.NaN },
    { id: 'old', prefix: '', transition: { days: -1, storageClass: 'GLACIER' } },
    { id: 'old', prefix: '', transition: { days: 1 } as never },
    { id: 'old', prefix: '', transition: true as never },
    { id: 'old', prefix: null as never },
    { id: 5 as never, prefix: '' },
  ])('get no rule that would come to name other objects, or be another rule: %j', async (rule) => {
    const set: unknown[] = [];
    const lifecycle = {
      getLifecycle: async () => [],
      setLifecycle: async (...given: unknown[]) => void set.push(given),
      deleteLifecycle: async () => {},
    };
    service = new StorageService({ backend: { ...backend, lifecycle }, defaultBucket: 'main' });
    const rules = [
      { id: 'good', prefix: '', expireDays: 1 },
      { expireDays: 1, ...rule },
    ];
    await expect(service.setLifecycle('main', rules)).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(set).toEqual([]);
    await service.setLifecycle('main', [rules[0]!, { id: 'cold', prefix: '', transition: { days: 0, storageClass: 'GLACIER' } }]);
    expect(set).toHaveLength(1);
  });

  it('get their rules on their next use if the response to their creation was lost', async () => {
    const inner = memoryBackend();
    const provisioned: string[] = [];
    let isLost = true;
    const backend: StorageBackend = {
      ...inner,
      buckets: {
        ...inner.buckets!,
        async create(bucket, options, ctx) {
          const created = await inner.buckets!.create(bucket, options, ctx);
          if (isLost) throw storageError('storage_unavailable', 'The connection was lost.');
          return created;
        },
        provision: async (bucket) => void provisioned.push(bucket),
      },
    };
    const service = new StorageService({ backend });
    await expect(service.ensureBucket('uploads')).rejects.toMatchObject({ code: 'storage_unavailable' });
    isLost = false;
    await service.ensureBucket('uploads');
    expect(provisioned).toEqual(['uploads']);
  });

  it('are chosen again when they are not to be kept, and deleted if they were created for nothing', async () => {
    const kept = new Set(['new']);
    const choices = ['old', 'main', 'new'];
    service = new StorageService({
      backend,
      autoProvision: true,
      resolveBucket: async () => ({ bucket: choices.shift() ?? 'never', because: 'tenant_mapping' }),
      keepsBucket: async (bucket) => {
        if (bucket === 'filled') await new StorageService({ backend }).uploadFile({ bucket, key: 'of-somebody-else', body: '' });
        return kept.has(bucket);
      },
    });
    expect(await service.uploadFile({ key: 'k', body: 'x' })).toMatchObject({ bucket: 'new' });
    expect((await service.listBuckets()).map(({ name }) => name)).toEqual(['main', 'new', 'other']); // `main` already existed
    await expect(service.uploadFile({ key: 'k', body: 'x' })).rejects.toMatchObject({ code: 'no_such_bucket' });
    expect(await service.bucketExists('never')).toBe(false);
    kept.add('never');
    choices.push('filled', 'new');
    expect(await service.uploadFile({ key: 'k', body: 'x' })).toMatchObject({ bucket: 'new' });
    expect(await service.bucketExists('filled')).toBe(true);
    expect(await service.uploadFile({ key: 'k', body: 'x' })).toMatchObject({ bucket: 'never' });
  });

  it('are created by name alone', async () => {
    service = new StorageService({ backend, region: 'eu-west-1' });
    expect(await service.createBucket('plain')).toMatchObject({ name: 'plain', region: 'eu-west-1' });
    expect((await service.getBucketAcl('plain')).grants.length).toBe(1);
    await expect(service.createBucket('plain')).rejects.toMatchObject({ code: 'bucket_already_exists' });
    await expect(service.createBucket('X')).rejects.toMatchObject({ code: 'invalid_bucket_name' });
  });

  it('are looked up once when required, and again after one turned out to be gone', async () => {
    const asked: string[] = [];
    const counting = wrapBackend(backend, ({ operation, bucket }, next) => {
      if (operation === 'bucket_info') asked.push(bucket ?? '');
      return next();
    });
    service = new StorageService({ backend: counting });
    for (let times = 0; times < 2; times++) await service.requireBucket('main');
    for (let times = 0; times < 2; times++) await expect(service.requireBucket('later')).rejects.toMatchObject({ code: 'no_such_bucket' });
    await service.createBucket({ bucket: 'later' });
    for (let times = 0; times < 2; times++) await service.requireBucket('later');
    expect(asked).toEqual(['main', 'later', 'later', 'later']);
    await backend.buckets?.delete('later', {}, noContext);
    await service.requireBucket('later');
    await expect(service.uploadFile({ bucket: 'later', key: 'k', body: '' })).rejects.toMatchObject({ code: 'no_such_bucket' });
    await expect(service.requireBucket('later')).rejects.toMatchObject({ code: 'no_such_bucket' });
    await service.createBucket('later');
    await service.requireBucket('later');
    await backend.buckets?.delete('later', {}, noContext);
    expect(await service.bucketExists('later')).toBe(false);
    await expect(service.requireBucket('later')).rejects.toMatchObject({ code: 'no_such_bucket' });
    await expect(service.requireBucket('X')).rejects.toMatchObject({ code: 'invalid_bucket_name' });
  });

  it('count as existing when the provider lets nobody look at them', async () => {
    const closed = wrapBackend(backend, ({ operation }, next) =>
      operation === 'bucket_info' ? Promise.reject(storageError('access_denied', 'No.')) : next(),
    );
    const { buckets: _buckets, ...without } = wrapBackend(backend);
    for (const each of [closed, without]) await new StorageService({ backend: each }).requireBucket('nobody-knows');
  });

  it('refuse invalid names, regions and ACLs', async () => {
    for (const call of [
      () => service.createBucket({ bucket: 'X' }),
      () => service.getBucketInfo('..'),
      () => service.bucketExists(''),
      () => service.deleteBucket('a/b'),
      () => service.ensureBucket('X'),
      () => service.provisionBucket('X'),
      () => service.getBucketAcl('X'),
      () => service.getVersioning('X'),
      () => service.getLifecycle('X'),
      () => service.sweep({ olderThan: 0, bucket: 'X' }),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'invalid_bucket_name' });
    }
    await expect(service.createBucket({ bucket: 'fine', acl: 'x' as 'private' })).rejects.toMatchObject({ code: 'invalid_argument' });
    for (const region of ['', 'eu west', 'eu\n', 'é', 'x'.repeat(65)]) {
      await expect(service.createBucket({ bucket: 'fine', region })).rejects.toMatchObject({ code: 'invalid_argument' });
    }
    await expect(service.createBucket({ bucket: 'fine', region: 'eu:cold' })).resolves.toMatchObject({ region: 'eu:cold' });
    await expect(service.setBucketAcl('main', 'x' as 'private')).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(service.setObjectAcl({ key: 'k', acl: 'x' as 'private' })).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('of objects are set and read', async () => {
    await service.uploadFile({ key: 'k', body: '' });
    expect((await service.setObjectAcl({ key: 'k', acl: 'authenticated-read' })).grants.length).toBe(2);
    expect((await service.getObjectAcl('k')).grants.length).toBe(2);
    await expect(service.getObjectAcl('none')).rejects.toMatchObject({ code: 'file_not_found' });
  });
});

describe('auto-provisioning', () => {
  function provisioning(over: Partial<NonNullable<StorageBackend['buckets']>> = {}): {
    readonly calls: string[];
    readonly service: StorageService;
  } {
    const calls: string[] = [];
    const good = wrapBackend(backend, (call, next) => {
      if (call.kind === 'bucket') calls.push(call.operation);
      return next();
    });
    const provision = async (bucket: string, { corsOrigins }: { readonly corsOrigins: readonly string[] }): Promise<void> =>
      void calls.push(`provision ${bucket} for ${corsOrigins.join()}`);
    const options = { defaultBucket: 'made-up', autoProvision: true, region: 'eu-west-1', corsOrigins: ['https://a.example'] };
    return { calls, service: new StorageService({ backend: { ...good, buckets: { ...good.buckets!, provision, ...over } }, ...options }) };
  }

  it('creates a bucket on its first use, once', async () => {
    const { calls, service: provisioned } = provisioning();
    await Promise.all(['a', 'b', 'c'].map((key) => provisioned.uploadFile({ key, body: key })));
    await provisioned.downloadFile('a');
    await provisioned.requireBucket('made-up');
    expect(calls).toEqual(['bucket_info', 'create_bucket', 'provision made-up for https://a.example']);
    expect(await provisioned.getBucketInfo('made-up')).toMatchObject({ region: 'eu-west-1' });
  });

  it('leaves a bucket alone that is there', async () => {
    const { calls, service: provisioned } = provisioning();
    await provisioned.ensureBucket('main');
    expect(calls).toEqual(['bucket_info']);
  });

  it('sets the rules of a bucket that it created on the next use, if that failed at first', async () => {
    let failures = 1;
    const rules: string[] = [];
    const provision = async (bucket: string): Promise<void> => {
      if (failures-- > 0) throw storageError('storage_unavailable', 'Busy.');
      rules.push(bucket);
    };
    const { service: provisioned } = provisioning({ provision });
    await expect(provisioned.ensureBucket('made-up')).rejects.toMatchObject({ code: 'storage_unavailable' });
    await provisioned.ensureBucket('made-up');
    expect(rules).toEqual(['made-up']);
  });

  it('sets the rules of a bucket once for all who ask at the same time', async () => {
    const { calls, service: provisioned } = provisioning();
    const rules = (): readonly string[] => calls.filter((call) => call.startsWith('provision'));
    await Promise.all(Array.from({ length: 4 }, () => provisioned.provisionBucket('main')));
    expect(rules()).toHaveLength(1);
    await provisioned.provisionBucket('main');
    expect(rules()).toHaveLength(2);
  });

  it('tries to set them again after a failure', async () => {
    let failures = 1;
    const provision = (): Promise<void> =>
      failures-- > 0 ? Promise.reject(storageError('storage_unavailable', 'Busy.')) : Promise.resolve();
    const { service: provisioned } = provisioning({ provision });
    await expect(provisioned.provisionBucket('main')).rejects.toMatchObject({ code: 'storage_unavailable' });
    await provisioned.provisionBucket('main');
  });

  it('does not create what a caller named', async () => {
    const { service: provisioned } = provisioning();
    await expect(provisioned.uploadFile({ bucket: 'named', key: 'k', body: '' })).rejects.toMatchObject({ code: 'no_such_bucket' });
  });

  it('creates a bucket again that went away behind its back', async () => {
    const { service: provisioned } = provisioning();
    await provisioned.uploadFile({ key: 'k', body: '' });
    await backend.buckets?.delete('made-up', { force: true }, noContext);
    await expect(provisioned.getFileInfo('k')).rejects.toMatchObject({ code: 'no_such_bucket' });
    await provisioned.uploadFile({ key: 'k', body: '' });
    await provisioned.deleteBucket('made-up', { force: true });
    await provisioned.uploadFile({ key: 'k', body: '' });
  });

  it.each([
    ['source', { source: 'k', destination: { bucket: 'main', key: 'k' } }],
    ['destination', { source: { bucket: 'main', key: 'k' }, destination: 'k' }],
  ])('creates a bucket again that was gone as the %s of a copy', async (_end, copy) => {
    const { service: provisioned } = provisioning();
    for (const bucket of ['main', undefined]) await provisioned.uploadFile({ bucket, key: 'k', body: '' });
    await backend.buckets?.delete('made-up', { force: true }, noContext);
    await expect(provisioned.copyFile(copy)).rejects.toMatchObject({ code: 'no_such_bucket' });
    await provisioned.uploadFile({ key: 'k', body: '' });
  });

  it.each(['getPresignedUploadUrl', 'getPresignedDownloadUrl'] as const)(
    'creates a bucket again that %s found to be gone',
    async (presigning) => {
      const sign = async ({ bucket }: ObjectAddress): Promise<PresignedUpload> => {
        await backend.buckets?.head(bucket, noContext);
        return { method: 'PUT', url: `https://storage.example/${bucket}`, fields: {}, headers: {}, expiresIn: 60 };
      };
      const presign = { upload: sign, download: sign };
      service = new StorageService({ backend: { ...backend, presign }, defaultBucket: 'made-up', autoProvision: true });
      await service[presigning]({ key: 'k' });
      await backend.buckets?.delete('made-up', {}, noContext);
      await expect(service[presigning]({ key: 'k' })).rejects.toMatchObject({ code: 'no_such_bucket' });
      await service[presigning]({ key: 'k' });
    },
  );

  it('is not undone by another process that creates the bucket first', async () => {
    const { calls, service: provisioned } = provisioning({
      create: async (bucket, options, ctx) => {
        await backend.buckets?.create(bucket, options, ctx);
        throw storageError('bucket_already_exists', 'another process was faster');
      },
    });
    await provisioned.uploadFile({ key: 'k', body: '' });
    expect(calls).toEqual(['bucket_info', 'bucket_info']); // the second shows whether it is ours; its rules are the other's
  });

  it('tries again after a failure', async () => {
    let failures = 1;
    const { service: provisioned } = provisioning({
      create: async (bucket, options, ctx) => {
        if (failures-- > 0) throw storageError('storage_unavailable', 'down');
        return backend.buckets!.create(bucket, options, ctx);
      },
    });
    await expect(provisioned.uploadFile({ key: 'k', body: '' })).rejects.toMatchObject({ code: 'storage_unavailable' });
    await provisioned.uploadFile({ key: 'k', body: '' });
  });

  it('cannot be cancelled for all others by the first caller', async () => {
    const [begun, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const { service: provisioned } = provisioning({
      create: async (bucket, options, ctx) => {
        begun.resolve();
        await gate.promise;
        ctx.signal?.throwIfAborted();
        return backend.buckets!.create(bucket, options, ctx);
      },
    });
    const cancel = new AbortController();
    const first = provisioned.uploadFile({ key: 'first', body: '' }, { signal: cancel.signal });
    const second = provisioned.uploadFile({ key: 'second', body: '' });
    await begun.promise;
    cancel.abort(new Error('the first caller left'));
    gate.resolve();
    await expect(first).rejects.toThrow('the first caller left');
    await second;
    expect((await provisioned.listFiles()).objects.map((object) => object.key)).toEqual(['second']);
  });

  it.each(['create', 'provision'] as const)('does not hold up a caller who leaves while it hangs: %s', async (hanging) => {
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    const { service: provisioned } = provisioning({
      create: async (bucket, options, ctx) => {
        if (hanging === 'create') await gate;
        return backend.buckets!.create(bucket, options, ctx);
      },
      provision: async () => {
        if (hanging === 'provision') await gate;
      },
    });
    const cancel = new AbortController();
    const reason = new Error('the caller left');
    const body = Readable.from([Buffer.from('x')]);
    const upload = provisioned.uploadFile({ key: 'left', body }, { signal: cancel.signal });
    const others = provisioned.uploadFile({ key: 'stays', body: '' });
    cancel.abort(reason);
    await expect(upload).rejects.toBe(reason);
    expect(body.destroyed).toBe(true);
    release();
    await others;
  });

  it('sets the rules for all who ask, though the first caller leaves', async () => {
    const cancel = new AbortController();
    const reason = new Error('the first caller left');
    const { service: provisioned } = provisioning({
      provision: async (_bucket, _options, { signal }) => {
        await new Promise((resolve) => setImmediate(resolve));
        cancel.abort(reason);
        signal?.throwIfAborted();
      },
    });
    const first = provisioned.provisionBucket('main', {}, { signal: cancel.signal });
    const second = provisioned.provisionBucket('main');
    await expect(first).rejects.toBe(reason);
    await second;
  });

  it('goes on while somebody asks for the bucket, and is not believed if the bucket is deleted meanwhile', async () => {
    let creations = 0;
    const begun = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const { service: provisioned } = provisioning({
      create: async (bucket, options, ctx) => {
        creations++;
        return backend.buckets!.create(bucket, options, ctx);
      },
      provision: async () => {
        begun.resolve();
        await gate.promise;
      },
    });
    const ensured = provisioned.ensureBucket('made-up');
    await begun.promise;
    await backend.buckets?.delete('made-up', {}, noContext);
    expect(await provisioned.bucketExists('made-up')).toBe(false);
    const joined = provisioned.ensureBucket('made-up');
    await expect(provisioned.deleteBucket('made-up')).rejects.toMatchObject({ code: 'no_such_bucket' });
    gate.resolve();
    await Promise.all([ensured, joined]);
    expect(creations).toBe(1);
    await provisioned.uploadFile({ key: 'k', body: '' });
    expect(creations).toBe(2);
  });

  it('is not begun for a caller who has left already', async () => {
    const { calls, service: provisioned } = provisioning();
    const signal = AbortSignal.abort(new Error('left before'));
    await expect(provisioned.uploadFile({ key: 'left', body: '' }, { signal })).rejects.toBe(signal.reason);
    expect(calls).toEqual([]);
  });
});
