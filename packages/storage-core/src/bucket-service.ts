import { requireAbility } from './ability.ts';
import { assertCannedAcl } from './acl.ts';
import type { Acl, CannedAcl } from './acl.ts';
import type { BucketInfo, LifecycleRule, NewBucket, StorageBackend, SweepOptions, SweepReport } from './backend.ts';
import { assertBucketName } from './bucket-name.ts';
import { BucketProvisioner } from './bucket-provisioner.ts';
import { assertContext, noContext } from './context.ts';
import type { CallContext } from './context.ts';
import { defined } from './defined.ts';
import type { Given } from './defined.ts';
import { storageError } from './errors.ts';
import { assertLifecycleRules } from './lifecycle-rules.ts';
import { assertRegion } from './region.ts';
import type { StorageServiceOptions } from './service-options.ts';

/** The part of `StorageService` that manages buckets. */
export class BucketService {
  /** With its layers: a call through it is observed, and retried, like one of the service's own. */
  readonly backend: StorageBackend;
  protected readonly provisioner: BucketProvisioner;
  readonly #region: string | undefined;

  constructor(backend: StorageBackend, { corsOrigins = ['*'], region }: Pick<StorageServiceOptions, 'corsOrigins' | 'region'>) {
    this.backend = backend;
    this.provisioner = new BucketProvisioner(backend, corsOrigins);
    this.#region = region;
  }

  /**
   * Creates a bucket unless it exists, with the rules of `provisionBucket`. Asks the provider once per bucket and process.
   * @param keepsBucket see `StorageServiceOptions.keepsBucket`
   * @throws no_such_bucket when the bucket is not to be kept
   */
  async ensureBucket(
    bucket: string,
    options: Given<NewBucket> = {},
    ctx: CallContext = noContext,
    keepsBucket?: (bucket: string) => Promise<boolean>,
  ): Promise<void> {
    await this.provisioner.ensure(bucket, this.#newBucket(bucket, options, ctx), ctx, keepsBucket);
  }

  /** Creates a bucket unless it exists, and sets the rules for browser uploads and housekeeping. Idempotent. */
  async provisionBucket(bucket: string, options: Given<NewBucket> = {}, ctx: CallContext = noContext): Promise<void> {
    await this.provisioner.provision(bucket, this.#newBucket(bucket, options, ctx), ctx);
  }

  /**
   * With just a name, region and ACL take their defaults.
   * @throws bucket_already_exists, invalid_bucket_name, invalid_argument, not_supported, acl_not_supported
   */
  async createBucket(
    request: string | (Given<NewBucket> & { readonly bucket: string }),
    ctx: CallContext = noContext,
  ): Promise<BucketInfo> {
    const given = typeof request === 'string' ? { bucket: request } : request;
    const options = this.#newBucket(given.bucket, given, ctx);
    return requireAbility(this.backend, 'buckets').create(given.bucket, options, ctx);
  }

  /** Sorted by name. @throws not_supported */
  async listBuckets(ctx: CallContext = noContext): Promise<readonly BucketInfo[]> {
    assertContext(ctx);
    return requireAbility(this.backend, 'buckets').list(ctx);
  }

  /** @throws invalid_bucket_name */
  async bucketExists(bucket: string, ctx: CallContext = noContext): Promise<boolean> {
    assertCall(bucket, ctx);
    const exists = await this.provisioner.exists(bucket, ctx);
    if (!exists) this.forgetBucket(bucket);
    return exists;
  }

  /** Makes the next use ask the provider whether the bucket exists; for deletions by others. */
  forgetBucket(bucket: string): void {
    this.provisioner.forgetExisting(bucket);
  }

  /**
   * For what would only fail later without the bucket, such as a presigned upload. Asks the provider once per bucket and process.
   * @throws no_such_bucket
   */
  async requireBucket(bucket: string, ctx: CallContext = noContext): Promise<void> {
    assertCall(bucket, ctx);
    await this.provisioner.require(bucket, ctx);
  }

  /** @throws no_such_bucket, not_supported */
  async getBucketInfo(bucket: string, ctx: CallContext = noContext): Promise<BucketInfo> {
    assertCall(bucket, ctx);
    return requireAbility(this.backend, 'buckets').head(bucket, ctx);
  }

  /**
   * `force` first removes the bucket's objects, versions, delete markers and open multipart uploads.
   * @throws no_such_bucket, bucket_not_empty, not_supported
   */
  async deleteBucket(bucket: string, options: { readonly force?: boolean } = {}, ctx: CallContext = noContext): Promise<void> {
    assertCall(bucket, ctx);
    if (options.force !== undefined) assertFlag('force', options.force); // "false", from a query say, would count as true
    const buckets = requireAbility(this.backend, 'buckets');
    try {
      await buckets.delete(bucket, options, ctx);
    } finally {
      this.provisioner.forget(bucket); // afterwards, and on failure too: the bucket may be gone all the same
    }
  }

  /** @throws no_such_bucket, acl_not_supported */
  async getBucketAcl(bucket: string, ctx: CallContext = noContext): Promise<Acl> {
    assertCall(bucket, ctx);
    return requireAbility(this.backend, 'acl').getBucketAcl(bucket, ctx);
  }

  /** Replaces the ACL and returns the resulting one. @throws no_such_bucket, acl_not_supported, invalid_argument */
  async setBucketAcl(bucket: string, canned: CannedAcl, ctx: CallContext = noContext): Promise<Acl> {
    assertCall(bucket, ctx);
    assertCannedAcl(canned);
    return requireAbility(this.backend, 'acl').setBucketAcl(bucket, canned, ctx);
  }

  /** @throws no_such_bucket, not_supported */
  async getVersioning(bucket: string, ctx: CallContext = noContext): Promise<boolean> {
    assertCall(bucket, ctx);
    return requireAbility(this.backend, 'versioning').getVersioning(bucket, ctx);
  }

  /** @throws no_such_bucket, not_supported */
  async setVersioning(bucket: string, enabled: boolean, ctx: CallContext = noContext): Promise<void> {
    assertCall(bucket, ctx);
    assertFlag('enabled', enabled);
    await requireAbility(this.backend, 'versioning').setVersioning(bucket, enabled, ctx);
  }

  /** Empty when no rules were set. @throws no_such_bucket, not_supported */
  async getLifecycle(bucket: string, ctx: CallContext = noContext): Promise<readonly LifecycleRule[]> {
    assertCall(bucket, ctx);
    return requireAbility(this.backend, 'lifecycle').getLifecycle(bucket, ctx);
  }

  /**
   * Replaces all rules of the bucket but those that are switched off; with none, all. One that comes back as `getLifecycle` told it keeps what
   * the provider's tools have added, such as a filter by tags; not_supported if it comes back changed and would then be about more objects.
   * @throws no_such_bucket, not_supported, invalid_argument
   */
  async setLifecycle(bucket: string, rules: readonly LifecycleRule[], ctx: CallContext = noContext): Promise<void> {
    assertCall(bucket, ctx);
    assertLifecycleRules(rules);
    await requireAbility(this.backend, 'lifecycle').setLifecycle(bucket, rules, ctx);
  }

  /** @throws no_such_bucket, not_supported */
  async deleteLifecycle(bucket: string, ctx: CallContext = noContext): Promise<void> {
    assertCall(bucket, ctx);
    await requireAbility(this.backend, 'lifecycle').deleteLifecycle(bucket, ctx);
  }

  /** Removes what killed processes left at the provider. @throws invalid_argument, not_supported */
  async sweep(options: SweepOptions, ctx: CallContext = noContext): Promise<SweepReport> {
    const { olderThan, dryRun, bucket, among } = options;
    // A negative age or NaN would include uploads still in progress, and so would null, which compares as 0.
    if (!(typeof olderThan === 'number' && olderThan >= 0))
      throw storageError('invalid_argument', 'olderThan must be a number of seconds, at least 0.');
    if (dryRun !== undefined) assertFlag('dryRun', dryRun);
    if (bucket !== undefined) assertBucketName(bucket);
    if (among !== undefined && typeof among !== 'function') throw storageError('invalid_argument', 'among must be a function.');
    assertContext(ctx);
    return requireAbility(this.backend, 'maintenance').sweep(options, ctx);
  }

  /** @throws invalid_bucket_name, invalid_argument */
  #newBucket(bucket: string, { region = this.#region, acl }: Given<NewBucket>, ctx: CallContext): NewBucket {
    assertCall(bucket, ctx);
    if (acl !== undefined) assertCannedAcl(acl);
    if (region !== undefined) assertRegion(region);
    return defined({ region, acl });
  }
}

/** @throws invalid_bucket_name, invalid_argument */
function assertCall(bucket: string, ctx: CallContext): void {
  assertBucketName(bucket);
  assertContext(ctx);
}

/** @throws invalid_argument */
function assertFlag(name: string, value: boolean): void {
  if (typeof value !== 'boolean') throw storageError('invalid_argument', `${name} must be true or false.`);
}
