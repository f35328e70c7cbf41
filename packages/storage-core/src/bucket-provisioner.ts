import { requireAbility } from './ability.ts';
import { untilAborted } from './abort-listeners.ts';
import type { NewBucket, StorageBackend } from './backend.ts';
import type { CallContext } from './context.ts';
import { hasCode, isStorageError, storageError } from './errors.ts';

/** Creates buckets with the rules for browser uploads and housekeeping, and remembers which buckets exist. */
export class BucketProvisioner {
  readonly #backend: StorageBackend;
  readonly #corsOrigins: readonly string[];
  /** Buckets that exist, or the pending call that ensures one not known yet. */
  readonly #known = new Map<string, Promise<void> | 'exists'>();
  readonly #settingRules = new Map<string, Promise<void>>();
  /** Buckets created here whose rules are not set yet. */
  readonly #withoutRules = new Set<string>();
  /** Buckets that `require` found, whoever created them. */
  readonly #found = new Set<string>();

  constructor(backend: StorageBackend, corsOrigins: readonly string[]) {
    this.#backend = backend;
    this.#corsOrigins = corsOrigins;
  }

  /**
   * Creates a bucket with its rules; an existing one is left as it is. Asks the provider once per bucket and process.
   * @param keepsBucket asked once the bucket exists, so that a concurrent deleter either sees it or is seen
   * @throws no_such_bucket when the bucket is not to be kept; if it was created here and holds nothing, it is deleted again
   */
  async ensure(bucket: string, options: NewBucket, ctx: CallContext, keepsBucket?: (bucket: string) => Promise<boolean>): Promise<void> {
    ctx.signal?.throwIfAborted();
    const known = this.#known.get(bucket);
    if (known === 'exists') return;
    await untilAborted(known ?? this.#beginEnsuring(bucket, options, ctx, keepsBucket), ctx.signal);
  }

  /** Everybody who needs the bucket waits for this one call, so the first caller cannot cancel it. */
  #beginEnsuring(
    bucket: string,
    options: NewBucket,
    { signal: _signal, ...shared }: CallContext,
    keepsBucket: ((bucket: string) => Promise<boolean>) | undefined,
  ): Promise<void> {
    const attempt = this.#createMissing(bucket, options, shared).then(async () => {
      if (keepsBucket !== undefined && !(await keepsBucket(bucket))) await this.#discardUnkept(bucket, shared);
      if (this.#withoutRules.has(bucket)) await this.#setRules(bucket, shared);
    });
    const isCurrent = (): boolean => this.#known.get(bucket) === attempt; // not after `forget`
    attempt.then(
      () => {
        if (isCurrent()) this.#known.set(bucket, 'exists');
      },
      () => {
        if (isCurrent()) this.#known.delete(bucket);
      },
    );
    this.#known.set(bucket, attempt);
    return attempt;
  }

  /** Creates a bucket unless it exists, and sets its rules. Idempotent. */
  async provision(bucket: string, options: NewBucket, ctx: CallContext): Promise<void> {
    await this.#createMissing(bucket, options, ctx);
    await this.#setRules(bucket, ctx);
  }

  async #createMissing(bucket: string, options: NewBucket, ctx: CallContext): Promise<void> {
    if (await this.exists(bucket, ctx)) return;
    const buckets = requireAbility(this.#backend, 'buckets');
    this.#withoutRules.add(bucket); // also when the creation succeeds but its response is lost
    try {
      await buckets.create(bucket, options, ctx);
    } catch (error) {
      if (!isStorageError(error) || !error.retryable) this.#withoutRules.delete(bucket);
      // Another process was faster; this shows whether the bucket is ours.
      if (!hasCode(error, 'bucket_already_exists')) throw error;
      await this.#find(bucket, ctx);
    }
  }

  async #discardUnkept(bucket: string, ctx: CallContext): Promise<never> {
    if (this.#withoutRules.delete(bucket)) await this.#backend.buckets?.delete(bucket, {}, ctx).catch(() => {}); // by now somebody may depend on it
    throw storageError('no_such_bucket', `The bucket "${bucket}" no longer exists.`);
  }

  /** Runs once for all concurrent callers: some servers fail one of several writers of a bucket's rules. */
  async #setRules(bucket: string, ctx: CallContext): Promise<void> {
    let setting = this.#settingRules.get(bucket);
    if (setting === undefined) {
      const { signal: _signal, ...shared } = ctx;
      setting = this.#backend.buckets?.provision?.(bucket, { corsOrigins: this.#corsOrigins }, shared) ?? Promise.resolve();
      setting = setting.then(() => void this.#withoutRules.delete(bucket)).finally(() => this.#settingRules.delete(bucket));
      this.#settingRules.set(bucket, setting);
    }
    await untilAborted(setting, ctx.signal);
  }

  /**
   * Asks the provider once per bucket and process. A bucket that the provider lets nobody look at counts as existing.
   * @throws no_such_bucket
   */
  async require(bucket: string, ctx: CallContext): Promise<void> {
    if (this.#known.has(bucket) || this.#found.has(bucket)) return;
    try {
      await this.#find(bucket, ctx);
    } catch (error) {
      if (!hasCode(error, 'access_denied', 'not_supported')) throw error;
    }
    this.#found.add(bucket);
  }

  async exists(bucket: string, ctx: CallContext): Promise<boolean> {
    try {
      await this.#find(bucket, ctx);
      return true;
    } catch (error) {
      if (hasCode(error, 'no_such_bucket')) return false;
      throw error;
    }
  }

  /** @throws no_such_bucket */
  async #find(bucket: string, ctx: CallContext): Promise<void> {
    const buckets = requireAbility(this.#backend, 'buckets');
    await (buckets.find?.(bucket, ctx) ?? buckets.head(bucket, ctx));
  }

  /** As `forget`, but a call that is ensuring the bucket goes on. */
  forgetExisting(bucket: string): void {
    if (this.#known.get(bucket) === 'exists') this.#known.delete(bucket);
    this.#found.delete(bucket);
  }

  /** The next use of the bucket provisions it again. */
  forget(bucket: string): void {
    this.#known.delete(bucket);
    this.#withoutRules.delete(bucket);
    this.#found.delete(bucket);
  }
}
