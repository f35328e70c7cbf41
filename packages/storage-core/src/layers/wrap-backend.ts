import type { ByteSink, PullOptions, StorageBackend } from '../backend.ts';
import type { CallContext } from '../context.ts';
import type { Body, ObjectAddress } from '../object.ts';
import type { Operation, OperationEvent } from '../observer.ts';

/** One call on its way to the backend. */
export interface Call {
  readonly operation: Operation;
  readonly kind: OperationEvent['kind'];
  readonly backend: string;
  readonly bucket?: string;
  readonly ctx: CallContext;
  /** The body of an upload. */
  readonly body?: Body;
  /** Whether the result is an open body (`get`). */
  readonly opens?: true;
  /** For a call that passes bytes on while it runs (`pull`): functions to be told how many. */
  readonly taps?: ((bytes: number) => void)[];
}

/** A layer: does something around a call. It may call `next` again. */
export type Around = <T>(call: Call, next: () => Promise<T>) => Promise<T>;

/** The one place that knows every operation. Wraps `inner` in layers, outermost first. Abilities that `inner` lacks stay absent. */
export function wrapBackend(inner: StorageBackend, ...layers: readonly Around[]): StorageBackend {
  const around: Around = layers.reduceRight<Around>(
    (next, layer) => (call, run) => layer(call, () => next(call, run)),
    (_call, run) => run(),
  );
  const backend = inner.name;
  const onObject = (operation: Operation, bucket: string, ctx: CallContext): Call => ({ operation, kind: 'object', backend, bucket, ctx });
  const onBucket = (operation: Operation, bucket: string, ctx: CallContext): Call => ({ operation, kind: 'bucket', backend, bucket, ctx });
  const onAcl = (operation: Operation, bucket: string, ctx: CallContext): Call => ({ operation, kind: 'acl', backend, bucket, ctx });
  const { batchDelete, buckets, acl, presign, versioning, lifecycle, maintenance } = inner;
  const [find, provision] = [buckets?.find?.bind(buckets), buckets?.provision?.bind(buckets)];
  const pull = inner.pull?.bind(inner);
  const deleteIfMatch = inner.deleteIfMatch?.bind(inner);

  return {
    name: backend,
    check: (ctx) => inner.check(ctx), // health checks are not traffic
    close: () => inner.close(),
    put: (at, body, options, ctx) => around({ ...onObject('upload', at.bucket, ctx), body }, () => inner.put(at, body, options, ctx)),
    get: (at, options, ctx) => around({ ...onObject('download', at.bucket, ctx), opens: true }, () => inner.get(at, options, ctx)),
    head: (at, ctx) => around(onObject('head', at.bucket, ctx), () => inner.head(at, ctx)),
    delete: (at, ctx) => around(onObject('delete', at.bucket, ctx), () => inner.delete(at, ctx)),
    copy: (source, destination, options, ctx) =>
      around(onObject('copy', destination.bucket, ctx), () => inner.copy(source, destination, options, ctx)),
    list: (bucket, options, ctx) => around(onObject('list', bucket, ctx), () => inner.list(bucket, options, ctx)),
    ...(batchDelete && {
      batchDelete: {
        deleteMany: (bucket, keys, ctx) => around(onObject('delete', bucket, ctx), () => batchDelete.deleteMany(bucket, keys, ctx)),
      },
    }),
    ...(buckets && {
      buckets: {
        create: (bucket, options, ctx) => around(onBucket('create_bucket', bucket, ctx), () => buckets.create(bucket, options, ctx)),
        head: (bucket, ctx) => around(onBucket('bucket_info', bucket, ctx), () => buckets.head(bucket, ctx)),
        ...(find && {
          find: (bucket: string, ctx: CallContext) => around(onBucket('bucket_info', bucket, ctx), () => find(bucket, ctx)),
        }),
        list: (ctx) => around({ operation: 'list_buckets', kind: 'bucket', backend, ctx }, () => buckets.list(ctx)),
        delete: (bucket, options, ctx) => around(onBucket('delete_bucket', bucket, ctx), () => buckets.delete(bucket, options, ctx)),
        ...(provision && {
          provision: (bucket: string, options: { readonly corsOrigins: readonly string[] }, ctx: CallContext) =>
            around(onBucket('provision_bucket', bucket, ctx), () => provision(bucket, options, ctx)),
        }),
      },
    }),
    ...(acl && {
      acl: {
        getObjectAcl: (at, ctx) => around(onAcl('get_object_acl', at.bucket, ctx), () => acl.getObjectAcl(at, ctx)),
        setObjectAcl: (at, canned, ctx) => around(onAcl('set_object_acl', at.bucket, ctx), () => acl.setObjectAcl(at, canned, ctx)),
        getBucketAcl: (bucket, ctx) => around(onAcl('get_bucket_acl', bucket, ctx), () => acl.getBucketAcl(bucket, ctx)),
        setBucketAcl: (bucket, canned, ctx) => around(onAcl('set_bucket_acl', bucket, ctx), () => acl.setBucketAcl(bucket, canned, ctx)),
      },
    }),
    ...(presign && {
      presign: {
        upload: (at, options, ctx) => around(onObject('presign', at.bucket, ctx), () => presign.upload(at, options, ctx)),
        download: (at, options, ctx) => around(onObject('presign', at.bucket, ctx), () => presign.download(at, options, ctx)),
      },
    }),
    ...(versioning && {
      versioning: {
        getVersioning: (bucket, ctx) => around(onBucket('get_versioning', bucket, ctx), () => versioning.getVersioning(bucket, ctx)),
        setVersioning: (bucket, enabled, ctx) =>
          around(onBucket('set_versioning', bucket, ctx), () => versioning.setVersioning(bucket, enabled, ctx)),
      },
    }),
    ...(lifecycle && {
      lifecycle: {
        getLifecycle: (bucket, ctx) => around(onBucket('get_lifecycle', bucket, ctx), () => lifecycle.getLifecycle(bucket, ctx)),
        setLifecycle: (bucket, rules, ctx) =>
          around(onBucket('set_lifecycle', bucket, ctx), () => lifecycle.setLifecycle(bucket, rules, ctx)),
        deleteLifecycle: (bucket, ctx) => around(onBucket('delete_lifecycle', bucket, ctx), () => lifecycle.deleteLifecycle(bucket, ctx)),
      },
    }),
    ...(maintenance && {
      maintenance: {
        sweep: (options, ctx) => around({ operation: 'sweep', kind: 'object', backend, ctx }, () => maintenance.sweep(options, ctx)),
      },
    }),
    ...(deleteIfMatch && {
      deleteIfMatch: (at: ObjectAddress, etag: string, ctx: CallContext) =>
        around(onObject('delete', at.bucket, ctx), () => deleteIfMatch(at, etag, ctx)),
    }),
    ...(pull && {
      pull(at: ObjectAddress, options: PullOptions, sink: ByteSink, ctx: CallContext) {
        const taps: ((bytes: number) => void)[] = [];
        const tapped: ByteSink = (chunk) => {
          for (const tap of taps) tap(chunk.length);
          return sink(chunk);
        };
        return around({ ...onObject('download', at.bucket, ctx), taps }, () => pull(at, options, tapped, ctx));
      },
    }),
  };
}
