import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

import { beforeEach, describe, expect, it } from 'vitest';

import type { StorageBackend } from './backend.ts';
import type { BodyInput } from './body/body.ts';
import { storageError } from './errors.ts';
import { wrapBackend } from './layers/wrap-backend.ts';
import { memoryBackend } from './memory-backend.ts';
import type { OperationEvent } from './observer.ts';
import type { BucketRequest } from './bucket-resolver.ts';
import { StorageService } from './storage-service.ts';

const acme = { tenantUuid: '0198a0c4-0000-7000-8000-000000000001', tenantSlug: 'acme' };

let backend: StorageBackend;
let service: StorageService;
beforeEach(() => {
  backend = memoryBackend({ buckets: ['main', 'other'] });
  service = new StorageService({ backend, defaultBucket: 'main' });
});

async function keysOf(bucket = 'main'): Promise<string[]> {
  const keys: string[] = [];
  for await (const object of service.listFiles({ bucket })) keys.push(object.key);
  return keys;
}

describe('a service that is used', () => {
  it('closes its backend at the end of the block', async () => {
    let closed = 0;
    const close = async (): Promise<void> => void closed++;
    {
      await using used = new StorageService({ backend: { ...wrapBackend(backend), close }, defaultBucket: 'main' });
      await used.uploadFile({ key: 'k', body: 'x' });
      expect(closed).toBe(0);
    }
    expect(closed).toBe(1);
  });
});

describe('pullFile', () => {
  it('passes a range on, whether the backend has a way of its own or not', async () => {
    const { pull: _pull, ...others } = wrapBackend(backend);
    const without = new StorageService({ backend: others, defaultBucket: 'main' });
    const { etag } = await service.uploadFile({ key: 'k', body: 'some bytes' });
    for (const each of [service, without]) {
      let read = '';
      const sink = async (chunk: Buffer): Promise<void> => void (read += chunk.toString());
      const pulled = await each.pullFile('k', { range: { start: 5 }, ifMatch: etag }, sink);
      expect(pulled).toMatchObject({ info: { key: 'k', size: 10, etag }, range: { start: 5, end: 9 } });
      expect(read).toBe('bytes');
      await each.pullFile({ bucket: 'main', key: 'k' }, {}, sink);
      expect(read).toBe('bytessome bytes');
      await expect(each.pullFile('k', { ifMatch: 'other' }, sink)).rejects.toMatchObject({ code: 'precondition_failed' });
      await expect(each.pullFile('k', { range: { start: -1 } }, sink)).rejects.toMatchObject({ code: 'invalid_argument' });
      await expect(each.pullFile('k', {}, () => Promise.reject(new Error('full')))).rejects.toThrow('full');
    }
  });
});

describe('uploadFile and downloadFile', () => {
  it('upload a file and download it again', async () => {
    const uploaded = await service.uploadFile({ key: 'docs/a.pdf', body: 'bytes', metadata: { a: '1' } });
    expect(uploaded).toMatchObject({
      bucket: 'main',
      key: 'docs/a.pdf',
      size: 5,
      contentType: 'application/pdf',
      etag: expect.any(String) as string,
    });
    expect((await service.downloadFile('docs/a.pdf')).toString()).toBe('bytes');
    expect((await service.downloadFile({ bucket: 'main', key: 'docs/a.pdf' })).toString()).toBe('bytes');
    expect(await service.getFileInfo('docs/a.pdf')).toMatchObject({ metadata: { a: '1' }, storageClass: 'STANDARD' });
  });

  it('hand every option on to the backend', async () => {
    const sha256 = createHash('sha256').update('x').digest('hex');
    const md5 = createHash('md5').update('x').digest('hex');
    await service.uploadFile({
      key: 'k',
      body: Readable.from(['x']),
      size: 1,
      contentType: 'a/b',
      acl: 'public-read',
      storageClass: 'GLACIER',
      sha256,
      md5,
      ifNoneMatch: '*',
    });
    expect(await service.getFileInfo('k')).toMatchObject({ contentType: 'a/b', storageClass: 'GLACIER' });
    expect((await service.getObjectAcl('k')).grants.length).toBe(2);
    await expect(service.uploadFile({ key: 'k', body: 'y', ifNoneMatch: '*' })).rejects.toMatchObject({ code: 'precondition_failed' });
    await expect(service.uploadFile({ key: 'k', body: 'y', ifMatch: 'z' })).rejects.toMatchObject({ code: 'precondition_failed' });
    await expect(service.uploadFile({ key: 'k', body: Readable.from(['xy']), size: 1 })).rejects.toMatchObject({
      code: 'invalid_argument',
    });
    await expect(service.uploadFile({ key: 'k', body: 'y', sha256 })).rejects.toMatchObject({ code: 'checksum_mismatch' });
  });

  it('hand on a size hint that is one, where no size is known', async () => {
    const hints: unknown[] = [];
    const put: StorageBackend['put'] = (at, body, ...rest) => {
      hints.push(body.kind === 'stream' ? body.sizeHint : 'none');
      return backend.put(at, body, ...rest);
    };
    service = new StorageService({ backend: { ...wrapBackend(backend), put }, defaultBucket: 'main' });
    for (const more of [{ sizeHint: 5 }, { sizeHint: 5, size: 1 }, { sizeHint: -1 }, { sizeHint: 0.5 }, { sizeHint: Number.NaN }])
      await service.uploadFile({ key: 'k', body: Readable.from(['x']), ...more });
    await service.uploadFile({ key: 'k', body: 'x', sizeHint: 5 });
    expect(hints).toEqual([5, undefined, undefined, undefined, undefined, 'none']);
  });

  it('use the defaults of the service', async () => {
    service = new StorageService({ backend, defaultBucket: 'main', defaultAcl: 'public-read', defaultStorageClass: 'STANDARD_IA' });
    await service.uploadFile({ key: 'k', body: 'x' });
    expect((await service.getFileInfo('k')).storageClass).toBe('STANDARD_IA');
    expect((await service.getObjectAcl('k')).grants.length).toBe(2);
  });

  it('send no tab in the content type: some servers sign it as a space, some as it is', async () => {
    const { contentType } = await service.uploadFile({ key: 'k', body: 'x', contentType: 'text/plain;\tcharset=utf-8' });
    expect(contentType).toBe('text/plain; charset=utf-8');
  });

  it('name the default that the provider refuses', async () => {
    const refusing = (code: 'acl_not_supported' | 'invalid_argument'): StorageService => {
      const refused = (): Promise<never> => Promise.reject(storageError(code, 'No.', { cause: new Error('of the provider') }));
      const inner: StorageBackend = { ...wrapBackend(backend), put: refused, copy: refused };
      return new StorageService({ backend: inner, defaultBucket: 'main', defaultAcl: 'public-read', defaultStorageClass: 'WARM' });
    };
    const message = (of: string, variable: string): object => ({ message: `No. ${of} (${variable}).` });
    const [acl, storageClass] = [
      message('"public-read" is the default ACL', 'STORAGE_DEFAULT_ACL'),
      message('"WARM" is the default storage class', 'STORAGE_DEFAULT_STORAGE_CLASS'),
    ];
    const copy = { source: 'k', destination: 'l' };
    await expect(refusing('acl_not_supported').uploadFile({ key: 'k', body: 'x' })).rejects.toMatchObject(acl);
    await expect(refusing('invalid_argument').uploadFile({ key: 'k', body: 'x' })).rejects.toMatchObject(storageClass);
    await expect(refusing('invalid_argument').copyFile({ ...copy, storageClass: 'WARM' })).rejects.toMatchObject(storageClass);
    const own = { key: 'k', body: 'x', acl: 'private', storageClass: 'COLD' } as const;
    for (const code of ['acl_not_supported', 'invalid_argument'] as const)
      await expect(refusing(code).uploadFile(own)).rejects.toMatchObject({ message: 'No.' });
    for (const error of [storageError('acl_not_supported', 'No.'), storageError('invalid_argument', 'No.')]) {
      const inner = { ...wrapBackend(backend), put: () => Promise.reject(error) };
      const without = new StorageService({ backend: inner, defaultBucket: 'main', defaultStorageClass: 'WARM' }); // and refused by no provider
      await expect(without.uploadFile({ key: 'k', body: 'x' })).rejects.toBe(error);
    }
  });

  it.each([
    ['a bad key', { key: '../x' }, 'invalid_key'],
    ['a bad bucket', { bucket: 'No' }, 'invalid_bucket_name'],
    ['a missing bucket', { bucket: 'missing' }, 'no_such_bucket'],
    ['a bad type', { contentType: 'text/plain\r\nx: y' }, 'invalid_argument'],
    ['a bad ACL', { acl: 'everybody' as 'private' }, 'invalid_argument'],
    ['a bad storage class', { storageClass: 'WARM' }, 'invalid_argument'],
    ['a checksum that is none', { sha256: 'A'.repeat(64) }, 'invalid_argument'],
    ['a checksum of another length', { md5: 'a'.repeat(64) }, 'invalid_argument'],
    ['metadata with a bad name', { metadata: { 'a b': 'x' } }, 'invalid_argument'],
    ['metadata whose name changes on the way', { metadata: { Author: 'x' } }, 'invalid_argument'],
    ['metadata that breaks out of its header', { metadata: { a: 'x\r\ny: z' } }, 'invalid_argument'],
    ['metadata whose value changes on the way', { metadata: { a: ' x' } }, 'invalid_argument'],
    ['too much metadata', { metadata: { a: 'x'.repeat(2048) } }, 'invalid_argument'],
    ['a size that is none', { size: -1 }, 'invalid_argument'],
  ] as const)('refuse %s, and close the stream', async (_name, bad, code) => {
    const body = Readable.from(['x'], { objectMode: false });
    await expect(service.uploadFile({ key: 'k', body, ...bad })).rejects.toMatchObject({ code });
    expect(body.destroyed).toBe(true);
    expect(await keysOf()).toEqual([]);
  });

  it('give an error of the body back as it is, even before the bucket is known', async () => {
    const failure = new Error('mine');
    const slow = new StorageService({
      backend,
      resolveBucket: async () => {
        await new Promise((resolve) => setTimeout(resolve, 10));
        return { bucket: 'main', because: 'default' };
      },
    });
    const body = new Readable({ read() {} });
    const upload = slow.uploadFile({ key: 'k', body });
    body.destroy(failure);
    await expect(upload).rejects.toBe(failure);
  });

  it('refuse a second upload of a stream that is being stored: each would have a part of its bytes', async () => {
    const bytes = async function* (): AsyncGenerator<Uint8Array> {
      for (let index = 0; index < 10; index++) yield new Uint8Array(1000);
    };
    const second = new StorageService({ backend: memoryBackend({ buckets: ['main'] }), defaultBucket: 'main' });
    for (const body of [Readable.from(bytes()), Readable.from(bytes(), { objectMode: false }), bytes()]) {
      const [stored, refused] = await Promise.allSettled([service, second].map((each) => each.uploadFile({ key: 'k', body })));
      expect(stored).toMatchObject({ status: 'fulfilled', value: { size: 10_000 } });
      expect(refused).toMatchObject({ status: 'rejected', reason: { code: 'invalid_argument' } });
    }
    const stored = Readable.from(bytes());
    await service.uploadFile({ key: 'k', body: stored });
    await expect(second.uploadFile({ key: 'k', body: stored })).rejects.toThrow('read already');
    const again = { [Symbol.asyncIterator]: bytes }; // each use begins anew
    const both = await Promise.all([service, second].map((each) => each.uploadFile({ key: 'k', body: again })));
    expect(both.map(({ size }) => size)).toEqual([10_000, 10_000]);
  });

  it('refuse, as any other argument, what only plain JavaScript can pass', async () => {
    const put = (more: object): Promise<unknown> => service.uploadFile({ key: 'k', body: '', ...more });
    const open = (options: object): Promise<unknown> => service.openFile('k', options);
    await put({});
    const calls = [
      put({ metadata: { author: undefined } }),
      put({ metadata: { pages: 5 } }),
      put({ ifNoneMatch: 'an ETag' }),
      service.copyFile({ source: 'k', destination: 'j', ifNoneMatch: 'an ETag' } as never),
      open({ range: 'bytes=0-1' }),
      open({ range: {} }),
      open({ range: null }),
      open({ range: { start: 0, end: 0, suffix: undefined } }),
      open({ range: { start: 0, suffix: 1 } }),
      open({ ifMatch: 'an ETag' }),
      open({ ifNoneMatch: ['an ETag', 5] }),
      open({ ifModifiedSince: 'yesterday' }),
      open({ ifUnmodifiedSince: new Date(Number.NaN) }),
      put({ ifMatch: ['an ETag'] }),
      put({ sha256: null }),
      put({ storageClass: 5 }),
      put({ contentType: ['text/plain'] }),
      put({ acl: Symbol('acl') }),
      put({ metadata: Promise.resolve({ author: 'a' }) }),
      service.copyFile({ source: 'k', destination: 'j', ifMatch: 5 } as never),
      service.copyFile({ source: 'k', destination: 'j', onlyIf: 'always' } as never),
      service.copyFile({ source: 'k', destination: 'j', storageClass: null } as never),
      service.pullFile('k', {}, undefined as never),
      service.pullFile('k', { ifMatch: ['an ETag'] } as never, () => {}),
    ];
    for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('refuse a tenant that is none, which a resolver might take for one', async () => {
    service = new StorageService({
      backend,
      resolveBucket: ({ tenant }) => ({ bucket: tenant === undefined ? 'main' : 'other', because: 'default' }),
    });
    for (const tenantContext of [null, 'acme'] as never[])
      await expect(service.uploadFile({ key: 'k', body: 'x', tenantContext })).rejects.toMatchObject({ code: 'invalid_argument' });
    await service.uploadFile({ key: 'k', body: 'x', tenantContext: undefined });
  });

  it('need a backend with a name, not the promise of one', () => {
    for (const none of [undefined, null, Promise.resolve(backend), { ...wrapBackend(backend), name: undefined }] as never[])
      expect(() => new StorageService({ backend: none })).toThrow(expect.objectContaining({ code: 'storage_not_configured' }));
  });

  it('refuse what is no context, or no signal, before anything begins', async () => {
    const source = Readable.from(['x']);
    for (const ctx of [null, 5, { signal: null }, { signal: new AbortController() }, { signal: 5 }] as never[]) {
      const calls = [
        service.uploadFile({ key: 'new', body: source }, ctx),
        service.openFile('k', {}, ctx),
        service.getFileInfo('k', ctx),
        Promise.resolve(service.listFiles({}, ctx)),
        service.deleteFiles({ keys: ['k'] }, ctx),
        service.createBucket('new-one', ctx),
        service.deleteBucket('main', { force: true }, ctx),
        service.listBuckets(ctx),
        service.sweep({ olderThan: 0 }, ctx),
      ];
      for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'invalid_argument' });
    }
    expect(source.destroyed).toBe(true);
    expect((await service.listFiles()).objects).toEqual([]);
    expect(await service.bucketExists('new-one')).toBe(false);
  });

  it('refuse a key that is missing, as one that was looked up in vain', async () => {
    await service.uploadFile({ key: 'k', body: '' });
    for (const none of [undefined, null] as unknown[] as string[]) {
      const calls = [
        service.openFile(none),
        service.fileExists(none),
        service.deleteFile(none),
        service.copyFile({ source: none, destination: 'j' }),
        service.moveFile({ source: 'k', destination: none }),
      ];
      for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'invalid_key' });
    }
  });

  it('refuse arguments that would act on more than was meant, or on nothing', async () => {
    await service.uploadFile({ key: 'k', body: '' });
    const untyped = service as unknown as Record<
      'uploadFile' | 'deleteFiles' | 'listFiles' | 'sweep' | 'deleteBucket' | 'setVersioning',
      (request: unknown, options?: unknown) => PromiseLike<unknown>
    >;
    const calls = [
      untyped.uploadFile({ key: 'k', body: '', metadata: new Map([['a', '1']]) }),
      untyped.uploadFile({ key: 'k', body: '', metadata: 'text' }),
      untyped.deleteFiles({ keys: 'k' }),
      untyped.listFiles('prefix'),
      untyped.sweep({ olderThan: -1 }),
      untyped.sweep({ olderThan: undefined }),
      untyped.sweep({ olderThan: null }),
      untyped.sweep({ olderThan: 5, dryRun: 'true' }),
      untyped.sweep({ olderThan: 5, among: ['main'] }),
      untyped.listFiles(null),
      untyped.listFiles({ prefix: null }),
      untyped.listFiles({ delimiter: 5 }),
      untyped.listFiles({ continuationToken: 5 }),
      untyped.listFiles({ onNextToken: 'next' }),
      untyped.deleteBucket('main', { force: 'false' }),
      untyped.setVersioning('main', 'false'),
      untyped.setVersioning('main'),
    ];
    for (const call of calls) await expect(Promise.resolve(call)).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(await service.fileExists('k')).toBe(true);
  });

  it('download only what exists', async () => {
    await expect(service.downloadFile('none')).rejects.toMatchObject({ code: 'file_not_found' });
    await expect(service.downloadFile('../x')).rejects.toMatchObject({ code: 'invalid_key' });
    expect(await service.fileExists('none')).toBe(false);
    await expect(service.fileExists({ bucket: 'missing', key: 'x' })).rejects.toMatchObject({ code: 'no_such_bucket' });
    await service.uploadFile({ key: 'some', body: '' });
    expect(await service.fileExists('some')).toBe(true);
  });
});

describe('bytes whose memory changes while they are uploaded', () => {
  it.each([
    ['is transferred elsewhere', (memory: ArrayBuffer): unknown => structuredClone(memory, { transfer: [memory] })],
    ['is shrunk', (memory: ArrayBuffer): unknown => memory.resize(1)],
  ])('are refused when it %s: the object would be empty', async (_how, take) => {
    const memory = new ArrayBuffer(10, { maxByteLength: 10 });
    const upload = service.uploadFile({ key: 'k', body: new Uint8Array(memory, 0, 10) });
    take(memory);
    await expect(upload).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(await keysOf()).toEqual([]);
  });

  it.each([
    ['an ArrayBuffer', (memory: ArrayBuffer): BodyInput => memory],
    ['a view of all of it', (memory: ArrayBuffer): BodyInput => new Uint8Array(memory)],
  ])('are those of the call if it is extended: %s', async (_given, bodyIn) => {
    const memory = new ArrayBuffer(10, { maxByteLength: 20 });
    const upload = service.uploadFile({ key: 'k', body: bodyIn(memory) });
    memory.resize(20);
    expect(await upload).toMatchObject({ size: 10 });
  });
});

describe('openFile', () => {
  beforeEach(() => service.uploadFile({ key: 'k', body: '0123456789' }));

  it('opens a whole object or a range of it', async () => {
    const whole = await service.openFile('k');
    expect((await whole.body.toArray()).join('')).toBe('0123456789');
    const part = await service.openFile('k', { range: { suffix: 3 } });
    expect([(await part.body.toArray()).join(''), part.range]).toEqual(['789', { start: 7, end: 9 }]);
    await expect(service.openFile('k', { range: { start: 10 } })).rejects.toMatchObject({ code: 'range_not_satisfiable', objectSize: 10 });
    await expect(service.openFile('k', { range: { start: -1 } })).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(service.openFile('k', { ifMatch: ['other'] })).rejects.toMatchObject({ code: 'precondition_failed' });
  });

  it('has openIfChanged for callers who have a copy', async () => {
    const { etag } = await service.getFileInfo('k');
    expect(await service.openIfChanged('k', { ifNoneMatch: [etag] })).toMatchObject({ kind: 'not_modified', etag });
    expect(await service.openIfChanged('k', { ifNoneMatch: ['other'] })).toMatchObject({ kind: 'object' });
  });
});

describe('listFiles', () => {
  beforeEach(async () => {
    for (const key of ['a', 'b/1', 'b/2', 'c']) await service.uploadFile({ key, body: key });
  });

  it('awaits to a page and iterates over everything', async () => {
    const page = await service.listFiles({ delimiter: '/' });
    expect([page.objects.map((object) => object.key), page.commonPrefixes]).toEqual([['a', 'c'], ['b/']]);
    const first = await service.listFiles({ maxKeys: 3 });
    expect([first.objects.length, first.isTruncated]).toEqual([3, true]);
    const rest = await service.listFiles({ maxKeys: 3, continuationToken: first.nextContinuationToken! });
    expect(rest.objects.map((object) => object.key)).toEqual(['c']);
    const keys: string[] = [];
    for await (const object of service.listFiles({ maxKeys: 1, prefix: 'b/' })) keys.push(object.key);
    expect(keys).toEqual(['b/1', 'b/2']);
    expect((await service.listFiles({ delimiter: '' })).objects.length).toBe(4);
    const inherited = Object.create({ prefix: 'b/' }) as { readonly prefix: string };
    expect((await service.listFiles(inherited)).objects.length).toBe(2);
  });

  it.each([
    { maxKeys: 0 },
    { maxKeys: 1001 },
    { maxKeys: 1.5 },
    { prefix: '\ud800' },
    { prefix: 'a\0' },
    { delimiter: '\udc00' },
    { prefix: 'x'.repeat(1025) },
  ])('refuses %j', async (request) => {
    await expect(service.listFiles(request)).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(service.listFiles(request)[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'invalid_argument' });
  });
});

describe('deletes', () => {
  it('delete one file, there or not', async () => {
    await service.uploadFile({ key: 'k', body: '' });
    await service.deleteFile('k');
    await service.deleteFile('k');
    expect(await keysOf()).toEqual([]);
    await expect(service.deleteFile('/k')).rejects.toMatchObject({ code: 'invalid_key' });
  });

  it('delete many, a bad key being an error of its own', async () => {
    await service.uploadFile({ key: 'k', body: '' });
    const result = await service.deleteFiles({ keys: ['k', '../k', 'none', '../k', 'k'] });
    expect(result.deleted).toEqual(['k', 'none']);
    expect(result.errors).toEqual([{ key: '../k', code: 'invalid_key', message: expect.any(String) as string }]);
    expect(await service.deleteFiles({ keys: ['..'] })).toMatchObject({ deleted: [] });
    await expect(service.deleteFiles({ keys: Array<string>(1001).fill('k') })).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(service.deleteFiles({ bucket: 'missing', keys: ['k'] })).rejects.toMatchObject({ code: 'no_such_bucket' });
  });
});

describe('deleteFile', () => {
  it.each([
    ['compares and deletes', (): StorageService => service],
    [
      'only deletes',
      (): StorageService => {
        const { deleteIfMatch: _, ...others } = wrapBackend(backend);
        return new StorageService({ backend: others, defaultBucket: 'main' });
      },
    ],
  ])('deletes an object only while it has the ETag, on a backend that %s', async (_does, serviceOf) => {
    const storage = serviceOf();
    const { etag } = await storage.uploadFile({ key: 'k', body: 'bytes' });
    for (const ifMatch of ['other', '*', `"${etag}"`, ''])
      await expect(storage.deleteFile({ key: 'k', ifMatch })).rejects.toMatchObject({ code: 'precondition_failed' });
    await expect(storage.deleteFile({ key: 'k', ifMatch: [etag] as unknown as string })).rejects.toMatchObject({
      code: 'invalid_argument',
    });
    expect(await keysOf()).toEqual(['k']);
    await storage.deleteFile({ key: 'k', ifMatch: etag });
    expect(await keysOf()).toEqual([]);
    await expect(storage.deleteFile({ key: 'k', ifMatch: etag })).rejects.toMatchObject({ code: 'precondition_failed' });
    await expect(storage.deleteFile({ bucket: 'missing', key: 'k', ifMatch: etag })).rejects.toMatchObject({ code: 'no_such_bucket' });
    await storage.deleteFile({ key: 'k', ifMatch: undefined });
  });
});

describe('copyFile and moveFile', () => {
  beforeEach(() => service.uploadFile({ key: 'k', body: 'bytes', contentType: 'text/csv', acl: 'public-read' }));

  it('copy within a bucket and between buckets', async () => {
    expect(await service.copyFile({ source: 'k', destination: 'l' })).toMatchObject({ bucket: 'main', key: 'l', contentType: 'text/csv' });
    await service.copyFile({ source: 'k', destination: { bucket: 'other', key: 'k' }, acl: 'private', storageClass: 'GLACIER' });
    expect(await service.getFileInfo({ bucket: 'other', key: 'k' })).toMatchObject({ storageClass: 'GLACIER' });
    expect((await service.getObjectAcl({ bucket: 'other', key: 'k' })).grants.length).toBe(1);
    await expect(service.copyFile({ source: 'k', destination: 'l', ifNoneMatch: '*' })).rejects.toMatchObject({
      code: 'precondition_failed',
    });
    await expect(service.copyFile({ source: 'k', destination: 'm', ifMatch: 'x' })).rejects.toMatchObject({ code: 'precondition_failed' });
    await expect(service.copyFile({ source: 'k', destination: 'm', acl: 'x' as 'private' })).rejects.toMatchObject({
      code: 'invalid_argument',
    });
  });

  it('move, and leave nothing at the source', async () => {
    await service.moveFile({ source: 'k', destination: { bucket: 'other', key: 'moved' } });
    expect([await keysOf(), await keysOf('other')]).toEqual([[], ['moved']]);
    expect((await service.getObjectAcl({ bucket: 'other', key: 'moved' })).grants.length).toBe(2);
    await service.moveFile({ source: { bucket: 'other', key: 'moved' }, destination: 'moved' });
    expect([await keysOf(), await keysOf('other')]).toEqual([['moved'], []]);
  });

  it('move a file onto itself without losing it, whichever way it is named', async () => {
    await service.moveFile({ source: 'k', destination: { bucket: 'main', key: 'k' }, acl: 'private' });
    expect((await service.downloadFile('k')).toString()).toBe('bytes');
    expect((await service.getObjectAcl('k')).grants.length).toBe(1);
  });

  it('delete the source of a move whatever it is, where the backend cannot compare it', async () => {
    const { deleteIfMatch: _, ...others } = wrapBackend(backend);
    const writing: StorageBackend = {
      ...others,
      async copy(source, ...more) {
        const copied = await others.copy(source, ...more);
        await service.uploadFile({ ...source, body: 'written meanwhile' });
        return copied;
      },
    };
    const lacking = new StorageService({ backend: writing, defaultBucket: 'main' });
    expect(await lacking.moveFile({ source: 'k', destination: 'l' })).toMatchObject({ key: 'l' });
    expect(await keysOf()).toEqual(['l']);
  });

  it('tell of an object that they have written just what a look at it does', async () => {
    for (const call of ['copyFile', 'moveFile'] as const) {
      const info = await service[call]({ source: 'k', destination: 'l' });
      expect(Object.keys(info).sort()).toEqual(Object.keys(await service.getFileInfo('l')).sort());
    }
  });

  it('keep the source of a move that fails', async () => {
    await expect(service.moveFile({ source: 'k', destination: { bucket: 'missing', key: 'k' } })).rejects.toMatchObject({
      code: 'no_such_bucket',
    });
    await expect(service.moveFile({ source: 'none', destination: 'k' })).rejects.toMatchObject({ code: 'file_not_found' });
    expect((await service.downloadFile('k')).toString()).toBe('bytes');
  });

  it('say of a move whose source cannot be deleted that the copy is there', async () => {
    const cause = new Error('of the provider');
    const fail = async (): Promise<never> => {
      throw storageError('storage_unavailable', 'No.', { retryAfter: 7, cause });
    };
    const { deleteIfMatch: _, ...others } = wrapBackend(backend);
    for (const deletion of [{ delete: fail }, { deleteIfMatch: fail }]) {
      const failing = new StorageService({ backend: { ...others, ...deletion }, defaultBucket: 'main' });
      await expect(failing.moveFile({ source: 'k', destination: 'l' })).rejects.toMatchObject({
        code: 'storage_unavailable',
        message: 'The object was copied, but its source may still be there. No.',
        retryAfter: 7,
        cause,
      });
      expect(await keysOf()).toEqual(['k', 'l']);
    }
  });
});

describe('abilities that a backend lacks', () => {
  it('are refused, never a silent success', async () => {
    for (const call of [
      () => service.getPresignedUploadUrl({ key: 'k' }),
      () => service.getPresignedDownloadUrl({ key: 'k' }),
      () => service.getVersioning('main'),
      () => service.setVersioning('main', true),
      () => service.getLifecycle('main'),
      () => service.setLifecycle('main', []),
      () => service.deleteLifecycle('main'),
      () => service.sweep({ olderThan: 0 }),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'not_supported', name: 'NotSupportedError' });
    }
  });
});

describe('the bucket of a call', () => {
  it('is the named one, else the default, else an error', async () => {
    expect(await service.resolveBucket({ bucket: 'other' })).toEqual({ bucket: 'other', because: 'explicit' });
    expect(await service.resolveBucket({})).toEqual({ bucket: 'main', because: 'default' });
    service = new StorageService({ backend });
    await expect(service.uploadFile({ key: 'k', body: '' })).rejects.toMatchObject({ code: 'storage_not_configured' });
  });

  it('is decided by the resolver, who hears of the tenant', async () => {
    const requests: BucketRequest[] = [];
    service = new StorageService({
      backend,
      resolveBucket: async (request) => {
        requests.push(request);
        return request.bucket === undefined
          ? { bucket: 'other', because: 'tenant_pattern' }
          : { bucket: request.bucket, because: 'explicit' };
      },
    });
    await service.uploadFile({ key: 'k', body: 'x', tenantContext: acme });
    expect((await service.downloadFile({ key: 'k', tenantContext: acme })).toString()).toBe('x');
    expect((await service.listFiles({ tenantContext: acme })).objects.length).toBe(1);
    await service.moveFile({ source: { key: 'k', tenantContext: acme }, destination: { key: 'l', tenantContext: acme } });
    expect(await keysOf('other')).toEqual(['l']);
    expect(requests.slice(0, 5)).toEqual(Array(5).fill({ tenant: acme }));
  });

  it('must have a valid name when a resolver chooses it', async () => {
    service = new StorageService({ backend, resolveBucket: () => ({ bucket: '../etc', because: 'tenant_pattern' }) });
    await expect(service.uploadFile({ key: 'k', body: '' })).rejects.toMatchObject({ code: 'invalid_bucket_name' });
  });
});

it('stacks the observer outside of the retries, and counts a call once', async () => {
  const events: OperationEvent[] = [];
  let failures = 2;
  const flaky: StorageBackend = {
    ...wrapBackend(backend),
    put: (...args) => (failures-- > 0 ? Promise.reject(storageError('storage_unavailable', 'busy')) : backend.put(...args)),
  };
  const options = { backend: flaky, defaultBucket: 'main', retry: { retries: 3, baseMs: 1 } };
  service = new StorageService({ ...options, observer: { operation: (event) => void events.push(event) } });
  await service.uploadFile({ key: 'k', body: 'bytes' }, { tenant: 'acme' });
  expect(events).toMatchObject([{ operation: 'upload', outcome: 'success', bytes: 5, tenant: 'acme' }]);
});
