import { setTimeout as delay } from 'node:timers/promises';

import { assertBucketName, canonicalTenantUuid, hasCode, storageError } from '@coffer/storage-core';
import type { TenantContext } from '@coffer/storage-core';
import type { TransactionSql } from 'postgres';

import type { Database } from '../database/database.ts';
import { isUniqueViolation } from '../database/error.ts';
import { inTransaction } from '../database/transaction.ts';
import { assertFields, bytesProblem, limitProblem, tenantNameProblem } from '../field-checks.ts';
import { TenantCache } from './cache.ts';
import {
  claimBucket,
  findById,
  findByUuid,
  findLatelyFreed,
  findOwners,
  findUsage,
  listTenants,
  lockNames,
  lockUsage,
  register,
  releaseBucket,
  renameTenant,
  resolveTenant,
  setQuota,
  snapshotUsage,
  tenantOf,
} from './rows.ts';
import type { NewTenant, Tenant, TenantChanges, TenantPage, TenantUsage } from './tenant.ts';

/** Dependencies and settings of a TenantRepository. */
export interface TenantRepositoryOptions {
  readonly database: Database;
  /** Names the bucket of a tenant that has none yet. */
  readonly bucketNameFor: (tenant: TenantContext) => string;
  /** Buckets that no tenant may have: the default and the shared one. */
  readonly reservedBuckets: readonly string[];
  /**
   * Whether a bucket already holds objects. If it does and belongs to no tenant, only an administrator can assign it; a tenant does not
   * get it because its name leads to it. Default: no bucket does.
   */
  readonly holdsObjects?: (bucket: string) => Promise<boolean>;
  /**
   * Seconds for which this process may not see changes of a tenant by another process. Default 5. A tenant's former bucket goes to another
   * tenant only after that time, so use the same value in all processes.
   */
  readonly cacheSeconds?: number;
}

interface ClaimOptions {
  readonly onlyFirst?: boolean;
  readonly evenClosed?: boolean;
  readonly adopt?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Seconds that a change may take to be seen, and a request to act on what it knows, beyond the time for which a process remembers. */
const handoverMargin = 1;

/** The registered tenants and their buckets. */
export class TenantRepository {
  readonly #database: Database;
  readonly #bucketNameFor: TenantRepositoryOptions['bucketNameFor'];
  readonly #reserved: ReadonlySet<string>;
  readonly #holdsObjects: NonNullable<TenantRepositoryOptions['holdsObjects']>;
  readonly #cache: TenantCache;
  readonly #handoverSeconds: number;

  constructor(options: TenantRepositoryOptions) {
    this.#database = options.database;
    this.#bucketNameFor = options.bucketNameFor;
    this.#reserved = new Set(options.reservedBuckets);
    this.#holdsObjects = options.holdsObjects ?? (async () => false);
    const { cacheSeconds = 5 } = options;
    this.#cache = new TenantCache(cacheSeconds);
    this.#handoverSeconds = cacheSeconds + handoverMargin;
  }

  /**
   * The registered tenant for which a token speaks; registers it on first use. Runs no statement while the tenant is cached.
   * @throws tenant_mismatch when uuid and slug do not belong together, validation_failed
   */
  async resolve(claimed: TenantContext): Promise<Tenant> {
    const { tenantUuid, tenantSlug } = claimed;
    return this.#cache.get(`claimed\0${tenantUuid}\0${tenantSlug}`, () => resolveTenant(this.#database.sql, claimed));
  }

  /** By uuid, then by current slug. @throws tenant_not_found */
  async find(id: string): Promise<Tenant> {
    return this.#cache.get(`named\0${id}`, () => this.read(id));
  }

  /** Like `find`, but bypasses the cache. @throws tenant_not_found */
  async read(id: string): Promise<Tenant> {
    if (tenantNameProblem(id) !== undefined) throw unknownTenant();
    const [row] = await findById(this.#database.sql, { uuid: canonicalTenantUuid(id), slug: id });
    if (row === undefined) throw unknownTenant();
    return tenantOf(row);
  }

  /** @returns `created: false` when the same pair is already registered. @throws tenant_conflict, validation_failed */
  async create(tenant: NewTenant): Promise<{ readonly tenant: Tenant; readonly created: boolean }> {
    const { tenantUuid, tenantSlug: slug } = tenant;
    const created = await register(this.#database.sql, tenant);
    const uuid = canonicalTenantUuid(tenantUuid);
    const [row] = await findByUuid(this.#database.sql, { uuid, slug });
    // What this call has created may already have been renamed or deleted.
    if (row === undefined || (!created && (row.tenant_slug !== slug || row.state !== 'active'))) {
      throw storageError('tenant_conflict', 'The uuid or the slug belongs, or belonged, to another tenant.');
    }
    return { tenant: tenantOf(row), created };
  }

  /** A new slug does not change buckets, and the old slug stays taken. @throws tenant_not_found, tenant_conflict, validation_failed */
  async update(id: string, changes: TenantChanges): Promise<Tenant> {
    const { tenantSlug: slug, quotaBytes } = changes;
    assertFields({
      tenant_slug: slug === undefined ? undefined : tenantNameProblem(slug),
      quota_bytes: quotaBytes === undefined || quotaBytes === null ? undefined : bytesProblem(quotaBytes),
    });
    const { tenantUuid: uuid } = await this.read(id);
    const { sql } = this.#database;
    try {
      if (slug === undefined && quotaBytes !== undefined) {
        // Only one row changes, which needs no transaction.
        if ((await setQuota(sql, { tenant: uuid, quota: quotaBytes })).length === 0) throw unknownTenant();
      } else {
        await inTransaction(sql, async (transaction) => {
          if ((await lockUsage(transaction, { tenant: uuid })).length === 0) throw unknownTenant();
          if (slug !== undefined) await this.#rename(transaction, uuid, slug);
          if (quotaBytes !== undefined) await setQuota(transaction, { tenant: uuid, quota: quotaBytes });
        });
      }
    } catch (error) {
      if (isUniqueViolation(error)) throw slugTaken();
      throw error;
    } finally {
      this.#cache.forget(uuid);
    }
    return this.read(uuid);
  }

  /** Ordered by uuid; `limit` defaults to 100. @throws validation_failed for a limit outside 1 to 1,000 or a bad cursor */
  async list(page: { readonly limit?: number | undefined; readonly cursor?: string | undefined } = {}): Promise<TenantPage> {
    const { limit = 100, cursor } = page;
    const after = typeof cursor === 'string' ? Buffer.from(cursor, 'base64url').toString('utf8') : '';
    const isValid = cursor === undefined || (tenantNameProblem(after) === undefined && Buffer.from(after).toString('base64url') === cursor);
    assertFields({ limit: limitProblem(limit), cursor: isValid ? undefined : 'Is not a cursor from a list.' });
    const rows = await listTenants(this.#database.sql, { after, limit: limit + 1 });
    const found = rows.slice(0, limit).map(tenantOf);
    const last = rows.length > limit ? found.at(-1) : undefined;
    return { tenants: found, nextCursor: last === undefined ? null : Buffer.from(last.tenantUuid).toString('base64url') };
  }

  /** @throws tenant_not_found */
  async usage(id: string): Promise<TenantUsage> {
    if (tenantNameProblem(id) !== undefined) throw unknownTenant();
    const [row] = await findUsage(this.#database.sql, { uuid: canonicalTenantUuid(id), slug: id });
    if (row === undefined) throw unknownTenant();
    const quotaBytes = row.quota_bytes === null ? null : Number(row.quota_bytes);
    return { bytes: Number(row.used_bytes), files: Number(row.used_files), quotaBytes };
  }

  /** For metrics: the `limit` tenants that use most bytes, by slug, then the sum of all others, without a slug, if there are any. */
  async usageSnapshot(limit: number): Promise<readonly { readonly tenant: string | undefined; readonly bytes: number }[]> {
    const rows = await snapshotUsage(this.#database.sql, { limit });
    return rows.map(({ tenant, bytes }) => ({ tenant: tenant ?? undefined, bytes: Number(bytes) }));
  }

  /** The bucket that `bucketFor` would return; does not record it. */
  plannedBucketFor({ tenantUuid, tenantSlug, buckets }: Tenant): string {
    return buckets[0] ?? this.#bucketNameFor({ tenantUuid, tenantSlug });
  }

  /**
   * The tenant's primary bucket. Assigns one on first use, so that a later slug does not change it. A cached tenant needs no
   * statement.
   * @param adopt whether it may be a bucket that holds objects and belongs to nobody
   * @param signal ends the wait for a bucket that was another tenant's until now (`addBucket`)
   * @throws tenant_mismatch, tenant_conflict when the name is reserved or another tenant's, or the bucket may not be adopted
   */
  async bucketFor(
    tenant: TenantContext,
    { adopt = false, signal }: { readonly adopt?: boolean; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<string> {
    let bucket = '';
    // Another look finds the bucket that another process assigned to the tenant, or took away, in the meantime.
    for (let attempt = 1; attempt <= 3; attempt++) {
      const { tenantUuid, tenantSlug, buckets } = await this.resolve(tenant);
      const [primary] = buckets;
      if (primary !== undefined) return primary;
      bucket = this.#bucketNameFor({ tenantUuid, tenantSlug });
      try {
        if (await this.#claim(tenantUuid, bucket, { onlyFirst: true, adopt, signal })) return bucket;
      } catch (error) {
        if (!hasCode(error, 'tenant_conflict')) throw error;
        this.#cache.forget(tenantUuid); // it may be older than the bucket that an administrator has assigned because of this error
        const [assigned] = (await this.resolve(tenant)).buckets;
        if (assigned === undefined) throw error;
        return assigned;
      }
    }
    throw storageError('tenant_conflict', `The bucket "${bucket}" belongs to another tenant.`);
  }

  /**
   * Assigns a bucket to the tenant; harmless when the tenant already has it. If it was another tenant's until now, waits until no process
   * remembers that.
   * @param signal ends that wait
   * @returns whether it was assigned just now
   * @throws tenant_not_found, tenant_conflict
   */
  async addBucket(id: string, bucket: string, { signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<boolean> {
    const { tenantUuid } = await this.read(id);
    if (await this.#claim(tenantUuid, bucket, { signal })) return true;
    const owner = await this.ownerOf(bucket);
    if (owner === tenantUuid) return false;
    if (owner === undefined) throw unknownTenant(); // the tenant is being deleted
    throw storageError('tenant_conflict', `The bucket "${bucket}" belongs to another tenant.`);
  }

  /** Like `addBucket`, but also for a tenant that is being deleted. @returns whether the bucket was assigned */
  async giveBack(tenantUuid: string, bucket: string): Promise<boolean> {
    return this.#claim(tenantUuid, bucket, { evenClosed: true });
  }

  /** Takes a bucket from whichever tenant has it. */
  async removeBucket(bucket: string): Promise<void> {
    for (const row of await releaseBucket(this.#database.sql, { bucket })) this.#cache.forget(row.tenant_uuid);
  }

  /** The uuids of the tenants that have these buckets, by bucket. */
  async ownersOf(buckets: readonly string[]): Promise<ReadonlyMap<string, string>> {
    if (buckets.length === 0) return new Map();
    const rows = await findOwners(this.#database.sql, { buckets: JSON.stringify(buckets) });
    return new Map(rows.map((row) => [row.bucket, row.tenant_uuid]));
  }

  /** The uuid of the tenant that has a bucket; undefined when none has it. */
  async ownerOf(bucket: string): Promise<string | undefined> {
    return (await this.ownersOf([bucket])).get(bucket);
  }

  /** Which of these buckets this installation manages: tenants' buckets and the reserved ones. */
  async ours(buckets: readonly string[]): Promise<readonly string[]> {
    const owners = await this.ownersOf(buckets);
    return buckets.filter((bucket) => this.#reserved.has(bucket) || owners.has(bucket));
  }

  /**
   * Whether this installation manages a bucket that was created for somebody. If not, another process took it away without this one's
   * knowledge, so this clears the cache.
   */
  async keeps(bucket: string): Promise<boolean> {
    if (this.#reserved.has(bucket) || (await this.ownerOf(bucket)) !== undefined) return true;
    this.#cache.clear();
    return false;
  }

  /** Makes the next use read the tenant again; for changes by another writer. */
  forget(tenantUuid: string): void {
    this.#cache.forget(canonicalTenantUuid(tenantUuid));
  }

  async #assertFree(tenant: string, bucket: string): Promise<void> {
    // In this order: a bucket is assigned to its owner before it gets the owner's first object.
    if (!(await this.#holdsObjects(bucket)) || (await this.ownerOf(bucket)) !== undefined) return;
    // Nobody else can have got it since: the objects are from processes that did not know yet that it was taken from the tenant.
    if ((await findLatelyFreed(this.#database.sql, { tenant, bucket, seconds: this.#handoverSeconds })).length > 0) return;
    throw storageError(
      'tenant_conflict',
      `The bucket "${bucket}" holds objects but belongs to no tenant; an administrator can assign it by provisioning the tenant's storage.`,
    );
  }

  async #rename(transaction: TransactionSql, tenant: string, slug: string): Promise<void> {
    const slugUuid = canonicalTenantUuid(slug);
    await lockNames(transaction, { one: slugUuid, other: slugUuid });
    if ((await renameTenant(transaction, { tenant, slug, slugUuid })).length === 0) throw slugTaken();
  }

  async #claim(tenantUuid: string, bucket: string, options: ClaimOptions): Promise<boolean> {
    assertBucketName(bucket);
    if (this.#reserved.has(bucket)) throw storageError('tenant_conflict', `The bucket "${bucket}" is reserved.`);
    const { onlyFirst = false, evenClosed = false, adopt = true, signal } = options;
    for (;;) {
      if (!adopt) await this.#assertFree(tenantUuid, bucket);
      const claim = { tenant: tenantUuid, bucket, onlyFirst, evenClosed };
      const { claimed, wait } = await claimBucket(this.#database.sql, claim, this.#handoverSeconds);
      this.#cache.forget(tenantUuid);
      if (wait === undefined) return claimed;
      // Whoever has left gets nothing: to undo that later would take it from the caller's next attempt.
      await delay(wait * 1000, undefined, { signal }).catch(() => signal?.throwIfAborted());
    }
  }
}

function slugTaken(): Error {
  return storageError('tenant_conflict', 'The slug belongs, or belonged, to another tenant.');
}

function unknownTenant(): Error {
  return storageError('tenant_not_found', 'There is no such tenant.');
}
