import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

import { aclOf } from './acl.ts';
import type { Acl, CannedAcl } from './acl.ts';
import type {
  AclOperations,
  BatchDeleteOperations,
  BucketInfo,
  BucketOperations,
  ByteSink,
  NewBucket,
  Pulled,
  PullOptions,
  StorageBackend,
} from './backend.ts';
import { destroyOnAbort, discard, sizeMismatch } from './body/body.ts';
import { evaluateConditions, resolveRange } from './conditions.ts';
import type { CallContext } from './context.ts';
import { storageError } from './errors.ts';
import { pageOf } from './listing.ts';
import type {
  Body,
  CopiedObject,
  CopyOptions,
  GetOptions,
  GetResult,
  ListOptions,
  ListPage,
  ObjectAddress,
  ObjectInfo,
  PutOptions,
} from './object.ts';
import { assertStorageClass } from './storage-class.ts';

/** The initial state of a memory backend. */
export interface MemoryBackendOptions {
  /** Buckets that exist from the start. */
  readonly buckets?: readonly string[];
  /** Region of buckets that are created without one. Default us-east-1. */
  readonly region?: string;
}

interface StoredObject {
  readonly info: ObjectInfo;
  readonly data: Buffer;
  readonly acl: CannedAcl;
}

interface StoredBucket {
  readonly info: BucketInfo;
  readonly acl: CannedAcl;
  readonly objects: Map<string, StoredObject>;
}

const owner: Acl['owner'] = { id: 'coffer', displayName: 'coffer' };
const chunkBytes = 64 * 1024;

/**
 * The whole contract of a backend in little code, for reference and for tests. Objects are lost when the process ends. It lacks presigned
 * URLs, which would need a server, versioning, lifecycle rules and sweeps.
 */
export function memoryBackend(options: MemoryBackendOptions = {}): StorageBackend {
  return new MemoryBackend(options);
}

// Nothing else runs between one await and the next: a condition that is checked with no await before the write still holds when the object
// is written.
class MemoryBackend implements StorageBackend {
  readonly name = 'memory';
  readonly #region: string;
  readonly #buckets = new Map<string, StoredBucket>();

  constructor({ buckets = [], region = 'us-east-1' }: MemoryBackendOptions) {
    this.#region = region;
    for (const name of buckets) this.#create(name, {});
  }

  async check({ signal }: CallContext): Promise<void> {
    signal?.throwIfAborted();
  }

  async close(): Promise<void> {}

  async put(at: ObjectAddress, body: Body, options: PutOptions, { signal }: CallContext): Promise<ObjectInfo> {
    try {
      signal?.throwIfAborted();
      this.#bucket(at.bucket);
      const { contentType, metadata = {}, acl = 'private', storageClass = 'STANDARD' } = options;
      assertStorageClass(storageClass);
      const data = await collect(body, signal);
      const md5 = createHash('md5').update(data).digest('hex');
      const sha256 = createHash('sha256').update(data).digest('hex');
      if ((options.md5 ?? md5) !== md5 || (options.sha256 ?? sha256) !== sha256) {
        throw storageError('checksum_mismatch', 'The checksum of the body does not match the declared one.');
      }
      signal?.throwIfAborted();
      const { objects } = this.#bucket(at.bucket);
      assertWritable(objects.get(at.key), options);
      const { bucket, key } = at;
      const info = {
        bucket,
        key,
        size: data.length,
        etag: md5,
        sha256,
        contentType,
        lastModified: new Date(),
        storageClass,
        metadata: { ...metadata },
      };
      objects.set(key, { info, data, acl });
      return info;
    } catch (error) {
      discard(body, error instanceof Error ? error : undefined);
      throw error;
    }
  }

  async get(at: ObjectAddress, options: GetOptions, { signal }: CallContext): Promise<GetResult> {
    signal?.throwIfAborted();
    const { info, data } = this.#object(at);
    if (evaluateConditions(info, options) === 'not_modified')
      return { kind: 'not_modified', etag: info.etag, lastModified: info.lastModified };
    const range = options.range && resolveRange(options.range, info.size);
    const body = Readable.from(chunksOf(range === undefined ? data : data.subarray(range.start, range.end + 1)), { objectMode: false });
    destroyOnAbort(body, signal);
    return { kind: 'object', info, body, ...(range && { range }) };
  }

  async pull(at: ObjectAddress, options: PullOptions, sink: ByteSink, { signal }: CallContext): Promise<Pulled> {
    signal?.throwIfAborted();
    const { info, data } = this.#object(at);
    if (options.ifMatch !== undefined) evaluateConditions(info, { ifMatch: [options.ifMatch] });
    const range = options.range && resolveRange(options.range, info.size);
    for (const chunk of chunksOf(range === undefined ? data : data.subarray(range.start, range.end + 1))) {
      await sink(chunk);
      signal?.throwIfAborted();
    }
    return range === undefined ? { info } : { info, range };
  }

  async head(at: ObjectAddress, { signal }: CallContext): Promise<ObjectInfo> {
    signal?.throwIfAborted();
    return this.#object(at).info;
  }

  async delete(at: ObjectAddress, { signal }: CallContext): Promise<void> {
    signal?.throwIfAborted();
    this.#bucket(at.bucket).objects.delete(at.key);
  }

  async deleteIfMatch(at: ObjectAddress, etag: string, { signal }: CallContext): Promise<void> {
    signal?.throwIfAborted();
    const { objects } = this.#bucket(at.bucket);
    assertWritable(objects.get(at.key), { ifMatch: etag });
    objects.delete(at.key);
  }

  async copy(source: ObjectAddress, destination: ObjectAddress, options: CopyOptions, { signal }: CallContext): Promise<CopiedObject> {
    signal?.throwIfAborted();
    const { info: from, data, acl } = this.#object(source);
    const { objects } = this.#bucket(destination.bucket);
    const { storageClass = from.storageClass, ifMatch, ifNoneMatch, onlyIf } = options;
    assertStorageClass(storageClass);
    if (ifMatch !== undefined) assertWritable(this.#object(source), { ifMatch });
    if (onlyIf !== undefined && !onlyIf(from))
      throw storageError('precondition_failed', 'The source of the copy does not meet the condition.');
    if (ifNoneMatch !== undefined) assertWritable(objects.get(destination.key), { ifNoneMatch });
    const info = { ...from, ...destination, storageClass, lastModified: new Date() };
    objects.set(destination.key, { info, data, acl: options.acl ?? acl });
    return { ...info, sourceEtag: from.etag };
  }

  async list(bucket: string, options: ListOptions, { signal }: CallContext): Promise<ListPage> {
    signal?.throwIfAborted();
    return pageOf(
      [...this.#bucket(bucket).objects.values()].map((object) => object.info),
      options,
    );
  }

  readonly batchDelete: BatchDeleteOperations = {
    deleteMany: async (bucket, keys, { signal }) => {
      signal?.throwIfAborted();
      if (keys.length > 1000) throw storageError('invalid_argument', 'A batch must have at most 1000 keys.');
      const { objects } = this.#bucket(bucket);
      const deleted = [...new Set(keys)];
      for (const key of deleted) objects.delete(key);
      return { deleted, errors: [] };
    },
  };

  readonly buckets: BucketOperations = {
    create: async (name, options, { signal }) => {
      signal?.throwIfAborted();
      return this.#create(name, options).info;
    },
    head: async (name, { signal }) => {
      signal?.throwIfAborted();
      return this.#bucket(name).info;
    },
    list: async ({ signal }) => {
      signal?.throwIfAborted();
      return [...this.#buckets.values()].map((bucket) => bucket.info).sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    delete: async (name, { force = false }, { signal }) => {
      signal?.throwIfAborted();
      if (this.#bucket(name).objects.size > 0 && !force) throw storageError('bucket_not_empty', `The bucket "${name}" is not empty.`);
      this.#buckets.delete(name);
    },
  };

  readonly acl: AclOperations = {
    getObjectAcl: async (at, { signal }) => {
      signal?.throwIfAborted();
      return aclOf(this.#object(at).acl, owner);
    },
    setObjectAcl: async (at, acl, { signal }) => {
      signal?.throwIfAborted();
      this.#bucket(at.bucket).objects.set(at.key, { ...this.#object(at), acl });
      return aclOf(acl, owner);
    },
    getBucketAcl: async (name, { signal }) => {
      signal?.throwIfAborted();
      return aclOf(this.#bucket(name).acl, owner);
    },
    setBucketAcl: async (name, acl, { signal }) => {
      signal?.throwIfAborted();
      this.#buckets.set(name, { ...this.#bucket(name), acl });
      return aclOf(acl, owner);
    },
  };

  #create(name: string, { region = this.#region, acl = 'private' }: NewBucket): StoredBucket {
    if (this.#buckets.has(name)) throw storageError('bucket_already_exists', `The bucket "${name}" already exists.`);
    const info = { name, region, createdAt: new Date(), versioningEnabled: false };
    const bucket = { info, acl, objects: new Map<string, StoredObject>() };
    this.#buckets.set(name, bucket);
    return bucket;
  }

  #bucket(name: string): StoredBucket {
    const bucket = this.#buckets.get(name);
    if (bucket === undefined) throw storageError('no_such_bucket', `There is no bucket "${name}".`);
    return bucket;
  }

  #object(at: ObjectAddress): StoredObject {
    const object = this.#bucket(at.bucket).objects.get(at.key);
    if (object === undefined) throw storageError('file_not_found', `There is no object "${at.key}" in the bucket "${at.bucket}".`);
    return object;
  }
}

function assertWritable(current: StoredObject | undefined, { ifMatch, ifNoneMatch }: Pick<PutOptions, 'ifMatch' | 'ifNoneMatch'>): void {
  if (ifNoneMatch !== undefined && current !== undefined)
    throw storageError('precondition_failed', 'An object with this key already exists.');
  if (ifMatch !== undefined && current?.info.etag !== ifMatch)
    throw storageError('precondition_failed', 'The object has a different ETag.');
}

async function collect(body: Body, signal: AbortSignal | undefined): Promise<Buffer> {
  if (body.kind === 'buffer') return Buffer.from(body.data); // a copy: the caller may change its buffer
  destroyOnAbort(body.stream, signal);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body.stream as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (body.size !== undefined && size > body.size) throw sizeMismatch(size, body.size);
    chunks.push(chunk);
  }
  if (body.size !== undefined && size < body.size) throw sizeMismatch(size, body.size);
  return Buffer.concat(chunks);
}

/** Copies, so that a reader who changes a chunk does not change the object. */
function* chunksOf(data: Buffer): Generator<Buffer> {
  for (let start = 0; start < data.length; start += chunkBytes) yield Buffer.from(data.subarray(start, start + chunkBytes));
}
