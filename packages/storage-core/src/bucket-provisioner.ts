import { requireAbility } from './ability.ts';
import { untilAborted } from './abort-listeners.ts';
import type { NewBucket, StorageBackend } from './backend.ts';
import type { CallContext } from './context.ts';
import { hasCode, isStorageError, storageError } from './errors.ts';

/** Creates buckets with the rules that uploads from browsers and hygiene need, and remembers which ones are there. */
export class BucketProvisioner {
  readonly #backend: StorageBackend;
  readonly #corsOrigins: readonly string[];
  /** Those that are there, and the call that sees to one of which nobody knows yet. */
  readonly #known = new Map<string, Promise<void> | 'there'>();
  readonly #settingRules = new Map<string, Promise<void>>();
  /** Those that were created here and have no rules yet. */
  readonly #bare = new Set<string>();
  /** Those that were there when they were asked for, whoever made them. */
  readonly #seen = new Set<string>();

  constructor(backend: StorageBackend, corsOrigins: readonly string[]) {
    this.#backend = backend;
    this.#corsOrigins = corsOrigins;
  }

  /**
   * Creates a bucket, with rules; one that is there is left as it is. Asks the provider once per bucket and process.
   * @param keeps asked once it is there, so that whoever deletes it either sees it or is seen
   * @throws no_such_bucket when it is not to be kept: it is gone again where it was created here, and nobody has written to it
   */
  async ensure(bucket: string, options: NewBucket, ctx: CallContext, keeps?: (bucket: string) => Promise<boolean>): Promise<void> {
    ctx.signal?.throwIfAborted();
    let known = this.#known.get(bucket);
    if (known === undefined) {
      // Everybody who needs the bucket waits for this one call, so it is not the first caller's to cancel.
      const { signal: _signal, ...shared } = ctx;
      const attempt = this.#createMissing(bucket, options, shared).then(async () => {
        if (keeps !== undefined && !(await keeps(bucket))) await this.#disown(bucket, shared);
        if (this.#bare.has(bucket)) await this.#setRules(bucket, shared);
      });
      attempt.then(
        () => this.#known.get(bucket) === attempt && this.#known.set(bucket, 'there'),
        () => this.#known.get(bucket) === attempt && this.#known.delete(bucket),
      );
      this.#known.set(bucket, attempt);
      known = attempt;
    }
    if (known !== 'there') await untilAborted(known, ctx.signal);
  }

  /** Creates a bucket unless it is there, and sets its rules. Idempotent. */
  async provision(bucket: string, options: NewBucket, ctx: CallContext): Promise<void> {
    await this.#createMissing(bucket, options, ctx);
    await this.#setRules(bucket, ctx);
  }

  async #createMissing(bucket: string, options: NewBucket, ctx: CallContext): Promise<void> {
    if (await this.exists(bucket, ctx)) return;
    const buckets = requireAbility(this.#backend, 'buckets');
    this.#bare.add(bucket); // also one whose creation succeeds although its answer gets lost
    try {
      await buckets.create(bucket, options, ctx);
    } catch (error) {
      if (!isStorageError(error) || !error.retryable) this.#bare.delete(bucket);
      // Another process was faster; whether the bucket is ours shows here.
      if (!hasCode(error, 'bucket_already_exists')) throw error;
      await this.#find(bucket, ctx);
    }
  }

  async #disown(bucket: string, ctx: CallContext): Promise<never> {
    if (this.#bare.delete(bucket)) await this.#backend.buckets?.delete(bucket, {}, ctx).catch(() => {}); // by now somebody may have a right to it
    throw storageError('no_such_bucket', `The bucket "${bucket}" no longer exists.`);
  }

  /** Once for all who ask meanwhile: some servers fail one of several writers of a bucket's rules. */
  async #setRules(bucket: string, ctx: CallContext): Promise<void> {
    let setting = this.#settingRules.get(bucket);
    if (setting === undefined) {
      const { signal: _signal, ...shared } = ctx;
      setting = this.#backend.buckets?.provision?.(bucket, { corsOrigins: this.#corsOrigins }, shared) ?? Promise.resolve();
      setting = setting.then(() => void this.#bare.delete(bucket)).finally(() => this.#settingRules.delete(bucket));
      this.#settingRules.set(bucket, setting);
    }
    await untilAborted(setting, ctx.signal);
  }

  /**
   * Asks the provider once per bucket and process; a bucket that it lets nobody look at counts as there.
   * @throws no_such_bucket
   */
  async require(bucket: string, ctx: CallContext): Promise<void> {
    if (this.#known.has(bucket) || this.#seen.has(bucket)) return;
    try {
      await this.#find(bucket, ctx);
    } catch (error) {
      if (!hasCode(error, 'access_denied', 'not_supported')) throw error;
    }
    this.#seen.add(bucket);
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

  /** The bucket is provisioned again on its next use. */
  forget(bucket: string): void {
    this.#known.delete(bucket);
    this.#bare.delete(bucket);
    this.#seen.delete(bucket);
  }
}
