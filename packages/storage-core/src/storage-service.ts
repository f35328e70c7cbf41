import { requireAbility } from './ability.ts';
import { assertCannedAcl } from './acl.ts';
import type { Acl, CannedAcl } from './acl.ts';
import type { BatchDeleteResult, ByteSink, PresignedDownload, PresignedUpload, Pulled, PullOptions, StorageBackend } from './backend.ts';
import { bodyOf, discard, readAll, sizeMismatch } from './body/body.ts';
import { claimBody } from './body/claim.ts';
import { assertBucketName } from './bucket-name.ts';
import { defaultBucketResolver } from './bucket-resolver.ts';
import type { BucketChoice, BucketRequest, BucketResolver } from './bucket-resolver.ts';
import { BucketService } from './bucket-service.ts';
import { assertByteRange, assertReadConditions } from './conditions.ts';
import { assertContext, assertTenant, noContext } from './context.ts';
import type { CallContext } from './context.ts';
import { defined } from './defined.ts';
import type { Given } from './defined.ts';
import { hasCode, isStorageError, storageError } from './errors.ts';
import { checkHealth } from './health.ts';
import type { HealthReport } from './health.ts';
import { assertObjectKey, keyProblem } from './key.ts';
import { observe } from './layers/observe.ts';
import { retry } from './layers/retry.ts';
import { wrapBackend } from './layers/wrap-backend.ts';
import { assertListOptions, ObjectListing } from './listing.ts';
import { lookAndDelete } from './look-and-delete.ts';
import type {
  Body,
  CopiedObject,
  GetOptions,
  GetResult,
  ListOptions,
  ObjectAddress,
  ObjectInfo,
  ObjectStream,
  PutOptions,
} from './object.ts';
import { presignDownloadOptionsOf, presignUploadOptionsOf } from './presign-options.ts';
import { assertNoneMatch, assertText, nameDefaults, putOptionsOf } from './put-options.ts';
import type {
  CopyFile,
  DeleteFile,
  FileAddress,
  InBucket,
  PresignDownload,
  PresignUpload,
  StorageServiceOptions,
  UploadFile,
} from './service-options.ts';

/** How many buckets are tried for one call when each turns out to have been deleted by another process. */
const maxAttempts = 3;

/** The type that applications hold. It does once what every backend would otherwise repeat. */
export class StorageService extends BucketService {
  readonly #options: StorageServiceOptions;
  readonly #resolve: BucketResolver;

  /** @throws storage_not_configured without a backend */
  constructor(options: StorageServiceOptions) {
    // Plain JavaScript may leave out the `await` before openS3Backend().
    if (typeof options.backend?.name !== 'string')
      throw storageError('storage_not_configured', 'A StorageService needs a `backend` that has a `name`, and not the promise of one.');
    super(layered(options), options);
    this.#options = options;
    this.#resolve = options.resolveBucket ?? defaultBucketResolver(options.defaultBucket);
  }

  /** Bucket of calls that name none, unless a resolver decides otherwise. */
  get defaultBucket(): string | undefined {
    return this.#options.defaultBucket;
  }

  /** Storage class of objects that name none. */
  get defaultStorageClass(): string | undefined {
    return this.#options.defaultStorageClass;
  }

  /** Rejects unless the provider answers. */
  async startup(): Promise<void> {
    await this.backend.check(noContext);
  }

  /** Releases the backend's sockets and files. Bodies that are still open may fail, and so may later calls. */
  async shutdown(): Promise<void> {
    await this.backend.close();
  }

  /** Calls `shutdown` at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  /** Never rejects: the report says what is wrong. */
  async healthCheck(): Promise<HealthReport> {
    return checkHealth(this.backend, this.#options.healthCheckTimeout ?? 5);
  }

  /** Which bucket a call goes to, and why, whether or not it exists. @throws storage_not_configured, invalid_bucket_name */
  async chooseBucket(request: BucketRequest, ctx: CallContext = noContext): Promise<BucketChoice> {
    assertContext(ctx);
    assertTenant(request.tenant);
    const choice = await this.#resolve(request, ctx);
    assertBucketName(choice.bucket);
    return choice;
  }

  /** As `chooseBucket`; creates the bucket where auto-provisioning is on, unless the caller named it. */
  async resolveBucket(request: BucketRequest, ctx: CallContext = noContext): Promise<BucketChoice> {
    const { autoProvision = false, keepsBucket } = this.#options;
    for (let attempt = 1; ; attempt++) {
      const choice = await this.chooseBucket(request, ctx);
      if (!autoProvision || choice.because === 'explicit') return choice;
      try {
        await this.ensureBucket(choice.bucket, {}, ctx, keepsBucket);
        return choice;
      } catch (error) {
        if (attempt >= maxAttempts || !hasCode(error, 'no_such_bucket')) throw error;
      }
    }
  }

  /**
   * Writes an object as a whole or not at all. On failure a stream is destroyed; its own error, and the reason of the signal, are passed on
   * unchanged.
   * @throws invalid_key, invalid_argument, checksum_mismatch, precondition_failed, no_such_bucket, payload_too_large, acl_not_supported, and
   * not_supported for a condition
   */
  async uploadFile(file: UploadFile, ctx: CallContext = noContext): Promise<ObjectInfo> {
    const release = claimBody(file.body);
    let body: Body | undefined;
    try {
      const opened = withSizeHint(bodyOf(file.body, file.size), file.sizeHint);
      body = opened;
      assertObjectKey(file.key);
      const options = putOptionsOf(file, this.#options);
      const size = wholeSize(opened);
      return await this.#withAddress(file, ctx, (at) => {
        // Memory that was transferred or shrunk meanwhile, as that of WebAssembly when it grows, would be stored as an empty object.
        if (wholeSize(opened) !== size) throw sizeMismatch(wholeSize(opened)!, size!);
        return this.backend.put(at, opened, options, ctx).catch(this.#naming(options));
      });
    } catch (error) {
      if (body !== undefined) discard(body, error instanceof Error ? error : undefined);
      throw error;
    } finally {
      release();
    }
  }

  /** The whole object in memory; for small objects. `openFile` streams. @throws file_not_found */
  async downloadFile(file: FileAddress, ctx: CallContext = noContext): Promise<Buffer> {
    const { body } = await this.openFile(file, {}, ctx);
    return readAll(body);
  }

  /**
   * Opens an object as a stream. Read it to its end or destroy it: until then it holds a socket or a file. For `ifNoneMatch` or
   * `ifModifiedSince` use `openIfChanged`.
   * @throws file_not_found, no_such_bucket, precondition_failed, range_not_satisfiable
   */
  async openFile(
    file: FileAddress,
    options: Pick<GetOptions, 'range' | 'ifMatch'> = {},
    ctx: CallContext = noContext,
  ): Promise<ObjectStream> {
    const result = await this.openIfChanged(file, options, ctx);
    if (result.kind !== 'object') throw storageError('internal_error', 'The backend answered "not modified" to an unconditional read.');
    return result;
  }

  /**
   * As `openFile`, unless the caller's copy is current: then `kind` is `not_modified` and there is no body.
   * @throws file_not_found, no_such_bucket, precondition_failed, range_not_satisfiable
   */
  async openIfChanged(file: FileAddress, options: GetOptions = {}, ctx: CallContext = noContext): Promise<GetResult> {
    if (options.range !== undefined) assertByteRange(options.range);
    assertReadConditions(options);
    return this.#withAddress(file, ctx, (at) => this.backend.get(at, options, ctx));
  }

  /**
   * Reads an object, or a range of it, into `sink`, with less work than a stream on backends that can. A chunk belongs to the sink until it
   * returns; see `ByteSink`.
   * @throws what `openFile` does, and the sink's own error
   */
  async pullFile(file: FileAddress, options: PullOptions, sink: ByteSink, ctx: CallContext = noContext): Promise<Pulled> {
    const { range, ifMatch } = options;
    if (range !== undefined) assertByteRange(range);
    assertText('ifMatch', ifMatch);
    if (typeof sink !== 'function') throw storageError('invalid_argument', 'The sink must be a function that takes each chunk.');
    const pull = this.backend.pull?.bind(this.backend);
    if (pull !== undefined) return this.#withAddress(file, ctx, (at) => pull(at, options, sink, ctx));
    const opened = await this.openFile(file, defined({ range, ifMatch: ifMatch === undefined ? undefined : [ifMatch] }), ctx);
    for await (const chunk of opened.body) await sink(chunk as Buffer);
    return opened.range === undefined ? { info: opened.info } : { info: opened.info, range: opened.range };
  }

  /** Size, type, ETag and metadata, without the bytes. @throws file_not_found, no_such_bucket */
  async getFileInfo(file: FileAddress, ctx: CallContext = noContext): Promise<ObjectInfo> {
    return this.#withAddress(file, ctx, (at) => this.backend.head(at, ctx));
  }

  /** @throws no_such_bucket, and any other error that leaves the answer unknown */
  async fileExists(file: FileAddress, ctx: CallContext = noContext): Promise<boolean> {
    try {
      await this.getFileInfo(file, ctx);
      return true;
    } catch (error) {
      if (hasCode(error, 'file_not_found')) return false;
      throw error;
    }
  }

  /**
   * Succeeds also when the object does not exist, unless `ifMatch` is given. Where the backend compares and deletes in one step, nothing is
   * deleted that was written meanwhile; elsewhere, this looks at the object first.
   * @throws no_such_bucket, precondition_failed
   */
  async deleteFile(file: DeleteFile, ctx: CallContext = noContext): Promise<void> {
    const { ifMatch } = Object(file) as { readonly ifMatch?: string };
    assertText('ifMatch', ifMatch);
    await this.#withAddress(file, ctx, async (at) => {
      if (ifMatch === undefined) return this.backend.delete(at, ctx);
      if (this.backend.deleteIfMatch === undefined) return lookAndDelete(this.backend, at, ifMatch, ctx);
      return this.backend.deleteIfMatch(at, ifMatch, ctx);
    });
  }

  /**
   * Deletes up to 1,000 keys of one bucket. A bad key is reported on its own; a key that is named twice is reported once.
   * @throws invalid_argument, no_such_bucket, not_supported
   */
  async deleteFiles(request: InBucket & { readonly keys: readonly string[] }, ctx: CallContext = noContext): Promise<BatchDeleteResult> {
    // In a string, each letter would be a key.
    if (!Array.isArray(request.keys as unknown)) throw storageError('invalid_argument', 'The keys to delete must be an array.');
    if (request.keys.length > 1000) throw storageError('invalid_argument', 'At most 1,000 keys can be deleted at once.');
    const batch = requireAbility(this.backend, 'batchDelete');
    const errors: BatchDeleteResult['errors'][number][] = [];
    const keys = [...new Set(request.keys)].filter((key) => {
      const message = keyProblem(key);
      if (message !== undefined) errors.push({ key, code: 'invalid_key', message });
      return message === undefined;
    });
    const { bucket } = await this.resolveBucket(bucketRequest(request), ctx);
    if (keys.length === 0) return { deleted: [], errors };
    const result = await this.#inBucket(bucket, () => batch.deleteMany(bucket, keys, ctx));
    return { deleted: result.deleted, errors: [...errors, ...result.errors] };
  }

  /** Await it for one page, or iterate over it for every object. */
  listFiles(request: InBucket & Given<ListOptions> = {}, ctx: CallContext = noContext): ObjectListing {
    // Not a copy, which would lack what is inherited.
    const { prefix, delimiter, maxKeys, continuationToken, onNextToken } = Object(request) as Given<ListOptions>;
    return new ObjectListing(async (token = continuationToken) => {
      // A bare prefix would be ignored, and all objects listed.
      if (typeof request !== 'object' || request === null)
        throw storageError('invalid_argument', 'The listing to make must be given as an object, such as { prefix }.');
      const options = defined({
        prefix,
        delimiter: delimiter === '' ? undefined : delimiter,
        maxKeys,
        continuationToken: token,
        onNextToken,
      });
      assertListOptions(options);
      const { bucket } = await this.resolveBucket(bucketRequest(request), ctx);
      return this.#inBucket(bucket, () => this.backend.list(bucket, options, ctx));
    });
  }

  /**
   * Copies at the provider, whatever the size, along with content type, metadata and, unless another is named, the ACL.
   * @throws file_not_found, no_such_bucket, precondition_failed, acl_not_supported
   */
  async copyFile(copy: CopyFile, ctx: CallContext = noContext): Promise<ObjectInfo> {
    const source = await this.#address(copy.source, ctx);
    const { sourceEtag: _, ...copied } = await this.#copy(source, await this.#address(copy.destination, ctx), copy, ctx);
    return copied;
  }

  /**
   * Copies, then deletes the source. Moving an object onto itself only applies `acl` and `storageClass`. Whatever is written to the source
   * between the two stays, if the backend compares and deletes in one step; elsewhere, it is deleted as well.
   * @throws as `copyFile` does
   */
  async moveFile(move: CopyFile, ctx: CallContext = noContext): Promise<ObjectInfo> {
    const source = await this.#address(move.source, ctx);
    const destination = await this.#address(move.destination, ctx);
    const { sourceEtag, ...moved } = await this.#copy(source, destination, move, ctx);
    if (source.bucket !== destination.bucket || source.key !== destination.key)
      await this.#deleteMoved(source, sourceEtag, ctx).catch(halfMoved);
    return moved;
  }

  /** @throws file_not_found, acl_not_supported */
  async getObjectAcl(file: FileAddress, ctx: CallContext = noContext): Promise<Acl> {
    const acl = requireAbility(this.backend, 'acl');
    return this.#withAddress(file, ctx, (at) => acl.getObjectAcl(at, ctx));
  }

  /** Replaces the ACL and returns the resulting one. @throws file_not_found, acl_not_supported, invalid_argument */
  async setObjectAcl(file: InBucket & { readonly key: string; readonly acl: CannedAcl }, ctx: CallContext = noContext): Promise<Acl> {
    assertCannedAcl(file.acl);
    const acl = requireAbility(this.backend, 'acl');
    return this.#withAddress(file, ctx, (at) => acl.setObjectAcl(at, file.acl, ctx));
  }

  /**
   * A form or URL that accepts an object with this key, and exactly the size and type that are given, until it expires.
   * @throws not_supported, invalid_argument, acl_not_supported, and payload_too_large for more than the provider signs for
   */
  async getPresignedUploadUrl(file: PresignUpload, ctx: CallContext = noContext): Promise<PresignedUpload> {
    const presign = requireAbility(this.backend, 'presign');
    const options = presignUploadOptionsOf(file, this.#options.presignExpires);
    return this.#withAddress(file, ctx, (at) => presign.upload(at, options, ctx));
  }

  /** A URL that gives this object to anyone who has it, until it expires. @throws not_supported, invalid_argument */
  async getPresignedDownloadUrl(file: PresignDownload, ctx: CallContext = noContext): Promise<PresignedDownload> {
    const presign = requireAbility(this.backend, 'presign');
    const options = presignDownloadOptionsOf(file, this.#options.presignExpires);
    return this.#withAddress(file, ctx, (at) => presign.download(at, options, ctx));
  }

  /** @param etag of what was moved, if known: anything else was written since */
  async #deleteMoved(source: ObjectAddress, etag: string | undefined, ctx: CallContext): Promise<void> {
    if (etag === undefined || this.backend.deleteIfMatch === undefined) return this.backend.delete(source, ctx);
    try {
      await this.backend.deleteIfMatch(source, etag, ctx);
    } catch (error) {
      if (!hasCode(error, 'precondition_failed')) throw error;
    }
  }

  async #copy(source: ObjectAddress, destination: ObjectAddress, copy: CopyFile, ctx: CallContext): Promise<CopiedObject> {
    const { acl, storageClass, ifMatch, ifNoneMatch, onlyIf } = copy;
    if (acl !== undefined) assertCannedAcl(acl);
    assertNoneMatch(ifNoneMatch);
    assertText('storageClass', storageClass);
    assertText('ifMatch', ifMatch);
    if (onlyIf !== undefined && typeof onlyIf !== 'function') throw storageError('invalid_argument', 'onlyIf must be a function.');
    const options = defined({ acl, storageClass, ifMatch, ifNoneMatch, onlyIf });
    const run = (): Promise<CopiedObject> => this.backend.copy(source, destination, options, ctx).catch(this.#naming(options));
    return this.#inBucket(source.bucket, () => this.#inBucket(destination.bucket, run));
  }

  async #address(file: FileAddress, ctx: CallContext): Promise<ObjectAddress> {
    // Plain JavaScript may pass undefined or null, as from a look-up: a key that is none.
    const address = typeof file === 'object' && file !== null ? file : { key: file };
    assertObjectKey(address.key);
    const { bucket } = await this.resolveBucket(bucketRequest(address), ctx);
    return { bucket, key: address.key };
  }

  async #withAddress<T>(file: FileAddress, ctx: CallContext, run: (at: ObjectAddress) => Promise<T>): Promise<T> {
    const at = await this.#address(file, ctx);
    return this.#inBucket(at.bucket, () => run(at));
  }

  #naming(written: Pick<PutOptions, 'acl' | 'storageClass'>): (error: unknown) => never {
    return (error) => {
      throw nameDefaults(error, written, this.#options);
    };
  }

  /** A bucket that turns out to be gone is provisioned again on its next use. */
  async #inBucket<T>(bucket: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      if (hasCode(error, 'no_such_bucket')) this.provisioner.forget(bucket);
      throw error;
    }
  }
}

function wholeSize(body: Body): number | undefined {
  return body.kind === 'buffer' ? body.data.byteLength : undefined;
}

function withSizeHint(body: Body, sizeHint: number | undefined): Body {
  const isValid = sizeHint !== undefined && Number.isSafeInteger(sizeHint) && sizeHint >= 0; // an invalid hint is no reason to refuse the bytes
  return body.kind === 'stream' && body.size === undefined && isValid ? { ...body, sizeHint } : body;
}

function bucketRequest({ bucket, tenantContext }: InBucket): BucketRequest {
  return { bucket, tenant: tenantContext };
}

/** The observer is outermost: it sees a call once, however often it is retried. */
function layered({ backend, observer, retry: policy }: StorageServiceOptions): StorageBackend {
  const layers = [...(observer === undefined ? [] : [observe(observer)]), ...(policy === undefined ? [] : [retry(policy)])];
  return layers.length === 0 ? backend : wrapBackend(backend, ...layers);
}

/** A move that fails leaves nothing behind, unless it fails here. */
function halfMoved(error: unknown): never {
  if (!isStorageError(error)) throw error;
  const { code, message, cause, retryable, retryAfter } = error;
  const options = defined({ cause, retryable, retryAfter }); // the cause is the provider's own, as of any other error
  throw storageError(code, `The object was copied, but its source may still be there. ${message}`, options);
}
