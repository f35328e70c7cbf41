import { setTimeout as delay } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';

import { describe, expect, it } from 'vitest';

import type { BucketInfo, StorageBackend } from '../backend.ts';
import { readAll } from '../body/body.ts';
import { noContext } from '../context.ts';
import { hasCode, storageError } from '../errors.ts';
import { wrapBackend } from '../layers/wrap-backend.ts';
import { lookAndDelete } from '../look-and-delete.ts';
import { memoryBackend } from '../memory-backend.ts';
import type { GetResult, ObjectAddress, ObjectInfo } from '../object.ts';
import { assertStorageClass } from '../storage-class.ts';
import { describeBackend } from './index.ts';
import type { BackendOptions } from './index.ts';

const abilities = {
  buckets: true,
  acl: true,
  presign: false,
  batchDelete: true,
  versioning: false,
  lifecycle: false,
  maintenance: false,
  pull: true,
  deleteIfMatch: true,
};

type Fault = (good: StorageBackend) => Partial<StorageBackend>;

// A test that waits forever has failed; one that should pass gets plenty of time, even on a loaded machine.
const soon = 1000;
const whenever = 25_000;

/** Runs the suite's part `subject` on a faulty backend and names the first test that fails. */
async function failing(
  subject: string,
  fault: Fault,
  options: Partial<BackendOptions> = {},
  within = whenever,
): Promise<string | undefined> {
  const path: string[] = [];
  const tests: { readonly name: string; readonly path: string; run(): Promise<void> }[] = [];
  const runner = {
    describe: (name: string, define: () => void): void => {
      path.push(name);
      define();
      path.pop();
    },
    it: (name: string, run: () => Promise<void>): void => void tests.push({ name, path: path.join('/'), run }),
  };
  describeBackend(runner, 'faulty', {
    abilities,
    writers: 16,
    bigListing: 20,
    start: async () => {
      const good = wrapBackend(memoryBackend({ buckets: ['suite'] }));
      return { backend: { ...good, ...fault(good) }, bucket: 'suite', stop: async () => {} };
    },
    ...options,
  });
  for (const test of tests.filter((one) => one.path === `faulty/${subject}`)) {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => (timer = setTimeout(() => reject(new Error('hangs')), within)));
    const passed = await Promise.race([test.run(), late]).then(
      () => true,
      () => false,
    );
    clearTimeout(timer);
    if (!passed) return test.name;
  }
  return undefined;
}

/** The same backend with its keys mapped by `change`, so that some collide. */
function mapped(change: (key: string) => string): Fault {
  const to = (at: ObjectAddress): ObjectAddress => ({ bucket: at.bucket, key: change(at.key) });
  return (good) => ({
    put: (at, body, options, ctx) => good.put(to(at), body, options, ctx),
    get: (at, options, ctx) => good.get(to(at), options, ctx),
    head: (at, ctx) => good.head(to(at), ctx),
    delete: (at, ctx) => good.delete(to(at), ctx),
  });
}

/** Clears each chunk a moment after the sink was called, whether the sink is done or not. */
function pullingTooSoon(good: StorageBackend): NonNullable<StorageBackend['pull']> {
  return (at, options, sink, ctx) =>
    good.pull!(
      at,
      options,
      (chunk) => {
        setTimeout(() => chunk.fill(0), 5);
        return sink(chunk);
      },
      ctx,
    );
}

const faults: readonly [string, string, Fault][] = [
  [
    'presigns though it is stated not to',
    'abilities',
    () => ({ presign: { upload: async () => Promise.reject(), download: async () => Promise.reject() } }),
  ],
  [
    'does not wait for the sink',
    'pulls',
    (good) => ({
      pull: (at, options, sink, ctx) => good.pull!(at, options, (chunk) => void Promise.resolve(sink(chunk)).catch(() => {}), ctx),
    }),
  ],
  [
    'ignores the ETag of a pull',
    'pulls',
    (good) => ({ pull: (at, { ifMatch: _ifMatch, ...options }, sink, ctx) => good.pull!(at, options, sink, ctx) }),
  ],
  ['deletes whatever the ETag', 'conditional deletes', (good) => ({ deleteIfMatch: async (at, _etag, ctx) => good.delete(at, ctx) })],
  [
    'looks before it deletes',
    'conditional deletes',
    (good) => ({
      deleteIfMatch: (at, etag, ctx) =>
        lookAndDelete({ head: good.head, delete: async (...args) => delay(1).then(() => good.delete(...args)) }, at, etag, ctx),
    }),
  ],
  [
    'does not tell which object it copied',
    'conditional deletes',
    (good) => ({
      async copy(...args) {
        const { sourceEtag: _, ...copied } = await good.copy(...args);
        return copied;
      },
    }),
  ],
  ['hands out memory that is used again too soon', 'pulls', (good) => ({ pull: pullingTooSoon(good) })],
  ['folds case', 'objects', mapped((key) => key.toLowerCase())],
  ['normalises Unicode', 'objects', mapped((key) => key.normalize('NFC'))],
  ['collapses slashes', 'objects', mapped((key) => key.replaceAll('//', '/'))],
  ['drops trailing dots', 'objects', mapped((key) => key.replace(/\.+$/, ''))],
  ['truncates keys', 'objects', mapped((key) => key.slice(0, 255))],
  ['loses metadata', 'objects', (good) => ({ put: (at, body, options, ctx) => good.put(at, body, { ...options, metadata: {} }, ctx) })],
  [
    'does not verify checksums',
    'objects',
    (good) => ({ put: (at, body, { md5: _md5, sha256: _sha256, ...options }, ctx) => good.put(at, body, options, ctx) }),
  ],
  [
    'deletes what was there when a checksum does not match',
    'objects',
    (good) => ({
      put: (at, body, options, ctx) =>
        good.put(at, body, options, ctx).catch(async (error: unknown) => {
          if (hasCode(error, 'checksum_mismatch')) await good.delete(at, ctx);
          throw error;
        }),
    }),
  ],
  [
    'pretends to have kept a storage class',
    'objects',
    (good) => ({
      put: async (at, body, { storageClass = 'STANDARD', ...options }, ctx) => {
        assertStorageClass(storageClass);
        return { ...(await good.put(at, body, options, ctx)), storageClass };
      },
    }),
  ],
  [
    'tells of no metadata as undefined',
    'objects',
    (good) => ({
      head: async (at, ctx) => {
        const { metadata, ...info } = await good.head(at, ctx);
        return (Object.keys(metadata).length === 0 ? info : { ...info, metadata }) as ObjectInfo;
      },
    }),
  ],
  [
    'stores a stream of another length than announced',
    'streams',
    (good) => ({
      put: (at, body, options, ctx) => good.put(at, body.kind === 'stream' ? { kind: 'stream', stream: body.stream } : body, options, ctx),
    }),
  ],
  ['gives whole objects for ranges', 'ranges', (good) => ({ get: (at, { range: _range, ...options }, ctx) => good.get(at, options, ctx) })],
  [
    'ignores conditions',
    'conditional reads',
    (good) => ({ get: (at, { range }, ctx) => good.get(at, range === undefined ? {} : { range }, ctx) }),
  ],
  [
    'checks the range before conditions',
    'conditional reads',
    (good) => ({
      get: async (at, options, ctx) => {
        if (options.range !== undefined) await good.get(at, { range: options.range }, ctx);
        return good.get(at, options, ctx);
      },
    }),
  ],
  ['takes the times of conditions by the millisecond', 'conditional reads', conditionsByTheMillisecond],
  ['checks write conditions before the bytes arrive', 'conditional writes', checkingEarly],
  ['checks write conditions before the bytes arrive', 'concurrency', checkingEarly],
  [
    'forgets to page',
    'listing',
    (good) => ({
      list: async (bucket, options, ctx) => {
        const { objects, commonPrefixes } = await good.list(bucket, options, ctx);
        return { objects, commonPrefixes, isTruncated: false };
      },
    }),
  ],
  [
    'lists in the order of UTF-16',
    'listing',
    (good) => ({
      list: async (bucket, options, ctx) => {
        const page = await good.list(bucket, options, ctx);
        return { ...page, objects: [...page.objects].sort((a, b) => (a.key < b.key ? -1 : 1)) };
      },
    }),
  ],
  [
    'takes prefixes for patterns',
    'listing',
    (good) => ({
      list: async (bucket, { prefix = '', ...options }, ctx) => {
        const page = await good.list(bucket, options, ctx);
        const pattern = new RegExp(
          `^${prefix.replaceAll(/[^\w]/gu, (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`).replaceAll('_', '.')}`,
          'u',
        );
        return { ...page, objects: page.objects.filter((object) => pattern.test(object.key)) };
      },
    }),
  ],
  [
    'copies bytes only',
    'copy and move',
    (good) => ({
      copy: async (source, destination, _options, ctx) => {
        const { body } = (await good.get(source, {}, ctx)) as Extract<GetResult, { kind: 'object' }>;
        return good.put(destination, { kind: 'buffer', data: await readAll(body) }, { contentType: 'application/octet-stream' }, ctx);
      },
    }),
  ],
  [
    'tells of a copy what it is not',
    'copy and move',
    (good) => ({
      copy: async (source, destination, options, ctx) => ({ ...(await good.copy(source, destination, options, ctx)), metadata: {} }),
    }),
  ],
  [
    'copies into the usual storage class',
    'copy and move',
    (good) => ({
      copy: (source, destination, options, ctx) => good.copy(source, destination, { storageClass: 'STANDARD', ...options }, ctx),
    }),
  ],
  [
    'deletes what it copies over itself',
    'copy and move',
    (good) => ({
      copy: async (source, destination, options, ctx) => {
        const info = await good.copy(source, destination, options, ctx);
        if (source.key === destination.key) await good.delete(source, ctx);
        return info;
      },
    }),
  ],
  [
    'ignores copy conditions',
    'copy and move',
    (good) => ({ copy: (source, destination, _options, ctx) => good.copy(source, destination, {}, ctx) }),
  ],
  [
    'misses what it is to delete',
    'delete',
    (good) => ({
      delete: async (at, ctx) => {
        await good.head(at, ctx);
        await good.delete(at, ctx);
      },
    }),
  ],
  [
    'tells its creator of another bucket',
    'buckets',
    (good) => ({
      buckets: {
        ...good.buckets!,
        create: async (bucket, options, ctx) => ({ ...(await good.buckets!.create(bucket, options, ctx)), versioningEnabled: true }),
      },
    }),
  ],
  [
    'deletes full buckets',
    'buckets',
    (good) => ({
      buckets: { ...good.buckets!, delete: (bucket, _options, ctx) => good.buckets!.delete(bucket, { force: true }, ctx) },
    }),
  ],
  [
    'takes a missing bucket for a missing object',
    'buckets',
    (good) => ({
      head: (at, ctx) =>
        good.head(at, ctx).catch((error: unknown) => {
          throw hasCode(error, 'no_such_bucket') ? storageError('file_not_found', 'none') : error;
        }),
    }),
  ],
  [
    'ignores ACLs on writes',
    'access control lists',
    (good) => ({
      put: (at, body, { acl: _acl, ...options }, ctx) => good.put(at, body, options, ctx),
    }),
  ],
  [
    'drops the ACL of a copy',
    'access control lists',
    (good) => ({
      copy: (source, destination, options, ctx) => good.copy(source, destination, { acl: 'private', ...options }, ctx),
    }),
  ],
  ['checks for nobody', 'aborts', (good) => ({ check: () => good.check(noContext) })],
  ['does not hear the signal', 'aborts', (good) => ({ put: (at, body, options) => good.put(at, body, options, noContext) })],
  [
    'wraps the error of the source',
    'aborts',
    (good) => ({
      put: (at, body, options, ctx) =>
        good.put(at, body, options, ctx).catch((cause: unknown) => {
          throw storageError('internal_error', 'failed', { cause });
        }),
    }),
  ],
  [
    'stores what came before the source failed',
    'aborts',
    (good) => ({
      put: async (at, body, options, ctx) => {
        if (body.kind === 'buffer') return good.put(at, body, options, ctx);
        const chunks: Buffer[] = [];
        try {
          for await (const chunk of body.stream) chunks.push(chunk as Buffer);
        } catch (error) {
          await good.put(at, { kind: 'buffer', data: Buffer.concat(chunks) }, options, noContext);
          throw error;
        }
        return good.put(at, { kind: 'buffer', data: Buffer.concat(chunks) }, options, ctx);
      },
    }),
  ],
  [
    'throws errors of its own',
    'errors',
    (good) => ({
      get: (at, options, ctx) =>
        good.get(at, options, ctx).catch(() => {
          throw Object.assign(new Error('ENOENT'), { code: 'file_not_found' });
        }),
    }),
  ],
  [
    'writes in two steps',
    'concurrency',
    (good) => ({
      put: async (at, body, options, ctx) => {
        const data = body.kind === 'buffer' ? Buffer.from(body.data) : await readAll(body.stream);
        await good.put(at, { kind: 'buffer', data: data.subarray(0, 1000) }, options, ctx);
        await new Promise((resolve) => setTimeout(resolve, 2));
        return good.put(at, { kind: 'buffer', data }, options, ctx);
      },
    }),
  ],
];

/** All objects appear to be written in the middle of a second. */
function conditionsByTheMillisecond(good: StorageBackend): Partial<StorageBackend> {
  const head: StorageBackend['head'] = async (at, ctx) => {
    const info = await good.head(at, ctx);
    return { ...info, lastModified: new Date(Math.floor(info.lastModified.getTime() / 1000) * 1000 + 500) };
  };
  return {
    head,
    get: async (at, { ifModifiedSince, ...options }, ctx) => {
      const { lastModified } = await head(at, ctx);
      return good.get(
        at,
        ifModifiedSince !== undefined && lastModified <= ifModifiedSince ? { ifModifiedSince, ...options } : options,
        ctx,
      );
    },
  };
}

function checkingEarly(good: StorageBackend): Partial<StorageBackend> {
  return {
    put: async (at, body, { ifMatch, ifNoneMatch, ...options }, ctx) => {
      const current = await good.head(at, ctx).catch(() => undefined);
      if ((ifNoneMatch !== undefined && current !== undefined) || (ifMatch !== undefined && current?.etag !== ifMatch)) {
        throw storageError('precondition_failed', 'no');
      }
      return good.put(at, body, options, ctx);
    },
  };
}

/** What deleting one key leaves to the next object there. */
function remembering(good: StorageBackend): Partial<StorageBackend> {
  const former = new Map<string, string>();
  return {
    async delete(at, ctx) {
      const info = await good.head(at, ctx).catch(() => undefined);
      if (info !== undefined) former.set(`${at.bucket}/${at.key}`, info.contentType);
      await good.delete(at, ctx);
    },
    async put(at, body, options, ctx) {
      const contentType = options.ifNoneMatch === undefined ? undefined : former.get(`${at.bucket}/${at.key}`);
      return good.put(at, body, { ...options, ...(contentType !== undefined && { contentType }) }, ctx);
    },
  };
}

/** Refuses If-None-Match for keys that were deleted, as Ceph does where versions were kept. */
function withVersions(refusesIn: (isVersioned: boolean) => boolean): Fault {
  return (good) => {
    const kept = new Map<string, boolean>();
    const deleted = new Set<string>();
    const markAll = (bucket: string, keys: readonly string[]): void => {
      if (refusesIn(kept.has(bucket))) for (const key of keys) deleted.add(`${bucket}/${key}`);
    };
    return {
      versioning: {
        getVersioning: async (bucket) => kept.get(bucket) === true,
        async setVersioning(bucket, enabled) {
          kept.set(bucket, enabled);
        },
      },
      async put(at, body, options, ctx) {
        const name = `${at.bucket}/${at.key}`;
        if (options.ifNoneMatch !== undefined && deleted.has(name)) throw storageError('precondition_failed', 'Deleted.');
        const info = await good.put(at, body, options, ctx);
        deleted.delete(name);
        return info;
      },
      async delete(at, ctx) {
        await good.delete(at, ctx);
        markAll(at.bucket, [at.key]);
      },
      batchDelete: {
        async deleteMany(bucket, keys, ctx) {
          const result = await good.batchDelete!.deleteMany(bucket, keys, ctx);
          markAll(bucket, keys);
          return result;
        },
      },
    };
  };
}

describe('the conformance suite', () => {
  it.each(faults)('finds a backend that %s (%s)', async (_name, subject, fault) => {
    expect(await failing(subject, fault, {}, soon)).toBeDefined();
  });

  it('finds a backend that errs only after certain operations, in a sequence of them', async () => {
    expect(await failing('conditions', remembering)).toBeUndefined();
    expect(await failing('objects', remembering)).toBeUndefined();
    expect(await failing('sequences', remembering, { sequences: { runs: 200 } })).toBe('of operations do what they do in memory');
  });

  it('finds a backend that refuses conditional reads, in a sequence', async () => {
    const refusing: Fault = ({ get }) => ({
      get: async (at, options, ctx) => {
        if (options.ifMatch !== undefined) throw storageError('not_supported', 'Refused.');
        return get(at, options, ctx);
      },
    });
    expect(await failing('sequences', refusing)).toBe('of operations do what they do in memory');
  });

  it('lets If-None-Match be refused for deleted keys in the sequences with versions, but in no other', async () => {
    const options = { abilities: { ...abilities, versioning: true }, sequences: { runs: 200 } };
    const [everywhere, whereKept] = [withVersions(() => true), withVersions((isVersioned) => isVersioned)];
    expect(await failing('sequences', everywhere, options)).toBe('of operations do what they do in memory');
    expect(await failing('sequences', whereKept, options)).toBeUndefined();
  });

  it('passes a backend without faults', async () => {
    const subjects = ['sequences', ...new Set(faults.map(([, subject]) => subject))];
    for (const subject of subjects) expect(await failing(subject, () => ({}))).toBeUndefined();
  });

  it('takes an array of another realm for what it is: Node makes such ones where the tests run in a context of their own, as with jest', async () => {
    const foreign: Fault = ({ buckets }) => ({
      buckets: {
        ...buckets!,
        async list(ctx) {
          const array = runInNewContext('[]') as BucketInfo[];
          array.push(...(await buckets!.list(ctx)));
          return array;
        },
      },
    });
    expect(await failing('buckets', foreign)).toBeUndefined();
  });

  it('finds an ability that is stated and missing', async () => {
    expect(await failing('abilities', () => ({}), { abilities: { ...abilities, lifecycle: true } })).toBe('has lifecycle');
  });

  it('finds what a failed write leaves behind', async () => {
    const start: BackendOptions['start'] = async () => ({
      backend: memoryBackend({ buckets: ['suite'] }),
      bucket: 'suite',
      stop: async () => {},
      leftovers: async () => ['tmp/1'],
    });
    expect(await failing('streams', () => ({}), { start }, soon)).toBeDefined();
  });

  it('holds a backend to refusing the keys it says it cannot hold', async () => {
    expect(await failing('objects', () => ({}), { refusedKeys: (key) => key.includes('//') })).toBe('holds any key beside any other');
  });

  it.each([
    ...['objects', 'listing', 'delete', 'copy and move', 'sequences'].map((subject) => [subject, /\/$|\/\/|\\/] as const),
    ['sequences', /\/$|\/\/|[^\w/]/] as const,
  ])('asks for no key that the backend says it cannot hold, of its %s (%s)', async (subject, refused) => {
    const refusedKeys = (key: string): boolean => refused.test(key);
    const refusing: Fault = ({ put, head, get, delete: remove }) => {
      const held = <R>(at: ObjectAddress, work: () => Promise<R>): Promise<R> =>
        refusedKeys(at.key) ? Promise.reject(storageError('invalid_key', 'Refused.')) : work();
      return {
        put: (at, ...rest) => held(at, () => put(at, ...rest)),
        head: (at, ctx) => held(at, () => head(at, ctx)),
        get: (at, ...rest) => held(at, () => get(at, ...rest)),
        delete: (at, ctx) => held(at, () => remove(at, ctx)),
      };
    };
    expect(await failing(subject, refusing, { refusedKeys })).toBeUndefined();
  });
});
