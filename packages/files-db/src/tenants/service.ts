import { hasCode, isStorageError, noContext, storageError } from '@coffer/storage-core';
import type { BucketInfo, CallContext, CannedAcl, StorageService } from '@coffer/storage-core';

import { assertWanted, labelled, withoutSignal } from '../call-context.ts';
import type { Database } from '../database/database.ts';
import { hurrySweep } from '../deletion-statements.ts';
import { assertFields, flagProblem } from '../field-checks.ts';
import { closeTenant, deleteFiles, findFileIn, forgetTenant, releaseFormerLocations, reopenTenant } from '../mass-deletion.ts';
import type { TombstoneRow } from '../mass-deletion.ts';
import { removeObjectsOfRows } from '../object-removal.ts';
import { relocateFile, strayFiles } from '../relocate-file.ts';
import type { RelocateOptions, Relocation, StrayFile } from '../relocate-file.ts';
import { endClaims } from '../relocation-statements.ts';
import type { TenantRepository } from './repository.ts';
import type { Tenant } from './tenant.ts';

/** Dependencies of a TenantService, all on one database. */
export interface TenantServiceOptions {
  readonly tenants: TenantRepository;
  readonly storage: StorageService;
  readonly database: Database;
}

/** The tenant whose bucket is provisioned, and how the bucket is created when it is missing. */
export interface ProvisionOptions {
  /** The slug of the registered tenant; an unknown tenant is registered with it. */
  readonly tenantSlug: string;
  /** Default: that of `storage`. */
  readonly region?: string | undefined;
  readonly acl?: CannedAcl | undefined;
}

/** A bucket to create for a tenant. */
export interface NewBucket {
  readonly bucket: string;
  /** Uuid or slug of a registered tenant. */
  readonly tenant: string;
  /** Default: that of `storage`. */
  readonly region?: string | undefined;
  readonly acl?: CannedAcl | undefined;
}

/** Operations on a tenant's rows and its buckets together. */
export class TenantService {
  readonly #tenants: TenantRepository;
  readonly #storage: StorageService;
  readonly #database: Database;

  constructor(options: TenantServiceOptions) {
    this.#tenants = options.tenants;
    this.#storage = options.storage;
    this.#database = options.database;
  }

  /**
   * Creates the tenant's bucket and sets its rules. Registers an unknown tenant with `id` as its uuid. An existing bucket of that name that
   * nobody has becomes the tenant's, with everything in it. Idempotent.
   * @throws tenant_conflict for another slug than the registered one, or a bucket that is not free; tenant_not_found when the tenant or its
   * bucket is deleted in the meantime
   */
  async provision(id: string, options: ProvisionOptions, ctx: CallContext = noContext): Promise<{ readonly bucket: string }> {
    assertWanted(ctx);
    const { tenantSlug, region, acl } = options;
    const tenant = await this.#registered(id, tenantSlug);
    const tenantCtx = labelled(ctx, tenant);
    const isNew = tenant.buckets.length === 0;
    const bucket = await this.#tenants.bucketFor(tenant, { adopt: true, signal: ctx.signal }).catch((error: unknown) => {
      throw hasCode(error, 'tenant_mismatch') ? deletedMeanwhile() : error;
    });
    try {
      await this.#storage.provisionBucket(bucket, { region, acl }, tenantCtx);
    } catch (error) {
      if (isNew && (await this.#isNotOurs(bucket, withoutSignal(tenantCtx)))) await this.#tenants.removeBucket(bucket);
      throw error;
    }
    await this.#assertKept(bucket, tenantCtx);
    return { bucket };
  }

  /**
   * Deletes a tenant and its buckets; its uuid and slugs stay taken. With `force`, also its files and objects. The tenant accepts no more
   * files from the start, can be found until the end, and can be deleted again after a failure, or an aborted signal, half-way.
   * @throws tenant_not_found, tenant_not_empty; with `force`, bucket_not_empty when somebody writes to a bucket while it is being emptied
   */
  async delete(id: string, options: { readonly force?: boolean | undefined } = {}, ctx: CallContext = noContext): Promise<void> {
    assertWanted(ctx);
    const { force = false } = options;
    assertFields({ force: flagProblem(force) }); // before the tenant is closed
    const { sql } = this.#database;
    const found = await this.#tenants.read(id);
    const { tenantUuid: tenant, buckets } = found;
    const tenantCtx = labelled(ctx, found);
    if (!force) for (const bucket of buckets) if (await this.#holdsObjects(bucket, tenantCtx)) throw notEmpty();
    if (!(await closeTenant(sql, { tenant, force }))) {
      await this.#tenants.read(id); // another call may have deleted it since
      throw notEmpty();
    }
    this.#tenants.forget(tenant);
    const own = await this.#bucketsOf(tenant); // it gets no others from now on
    for (const batches of [deleteFiles(sql, { tenant }), releaseFormerLocations(sql, { tenant })])
      for await (const rows of batches) {
        await this.#removeElsewhere(rows, own, tenantCtx);
        ctx.signal?.throwIfAborted(); // the rest goes when the tenant is deleted again
      }
    for (const bucket of own) {
      try {
        await this.deleteBucket(bucket, { force }, tenantCtx);
      } catch (error) {
        if (hasCode(error, 'no_such_bucket')) continue; // another call has deleted it since
        if (force || !hasCode(error, 'bucket_not_empty')) throw error;
        await reopenTenant(sql, { tenant }); // something arrived after the check, or was invisible to it
        throw notEmpty();
      }
    }
    await forgetTenant(sql, { tenant });
    this.#tenants.forget(tenant);
  }

  /**
   * Creates a further bucket of a tenant; uploads go to the first one.
   * @throws tenant_not_found, bucket_already_exists, tenant_conflict when no bucket has the name but it is reserved or another tenant's
   */
  async createBucket(request: NewBucket, ctx: CallContext = noContext): Promise<BucketInfo> {
    assertWanted(ctx);
    const { bucket, tenant, region, acl } = request;
    const claimed = await this.#claim(tenant, bucket, ctx);
    let info: BucketInfo | undefined;
    try {
      info = await this.#storage.createBucket({ bucket, region, acl }, ctx);
      await this.#storage.provisionBucket(bucket, {}, ctx);
    } catch (error) {
      const isRolledBack = info === undefined || (await this.#storage.deleteBucket(bucket, {}, withoutSignal(ctx)).then(yes, no));
      if (claimed && isRolledBack) await this.#tenants.removeBucket(bucket);
      throw isRolledBack ? error : leftBehind(bucket, error);
    }
    await this.#assertKept(bucket, ctx);
    return info;
  }

  /**
   * Deletes a bucket, whoever has it; with `force` also its contents.
   * @throws no_such_bucket, bucket_not_empty when it holds objects or tracked files
   */
  async deleteBucket(bucket: string, options: { readonly force?: boolean | undefined } = {}, ctx: CallContext = noContext): Promise<void> {
    const { force = false } = options;
    assertWanted(ctx);
    assertFields({ force: flagProblem(force) });
    const { sql } = this.#database;
    // Asked only where it decides: to answer, the database passes all files that were lately deleted from the bucket.
    const isTracked = async (): Promise<boolean> => (await findFileIn(sql, { bucket })).length > 0;
    if (!force && (await isTracked())) throw storageError('bucket_not_empty', `The bucket "${bucket}" holds tracked files.`);
    const missing = await this.#storage.deleteBucket(bucket, { force }, ctx).catch((error: unknown) => {
      if (!hasCode(error, 'no_such_bucket')) throw error;
      return error;
    });
    const owner = await this.#tenants.ownerOf(bucket); // not before: it may have become a tenant's since, and files be moving here
    // What an earlier attempt left behind still has to go.
    if (missing !== undefined && owner === undefined && !(force && (await isTracked()))) throw missing;
    if (owner !== undefined) await endClaims(sql, { tenant: owner, bucket }); // no file moves here from now on
    // Rows whose objects went with the bucket, including rows added after the check.
    if (force) for await (const _rows of deleteFiles(sql, { bucket }));
    await this.#tenants.removeBucket(bucket);
    if (owner !== undefined) await this.#handleRecreated(bucket, { owner, force }, withoutSignal(ctx));
  }

  /** Files that are in no bucket of their tenant, with the bucket they belong in: uploads from before tenants had buckets. */
  strayFiles(): AsyncGenerator<StrayFile, void, undefined> {
    return strayFiles({ sql: this.#database.sql, tenants: this.#tenants, storage: this.#storage });
  }

  /**
   * Moves a file to its tenant's bucket. The file stays readable throughout; a later sweep removes the old object.
   * @throws checksum_mismatch when the object is not the file, file_not_found when it is missing, no_such_bucket, tenant_conflict
   */
  async relocateFile(file: StrayFile, options: RelocateOptions, ctx: CallContext = noContext): Promise<Relocation> {
    assertWanted(ctx);
    return relocateFile({ sql: this.#database.sql, tenants: this.#tenants, storage: this.#storage }, file, options, ctx);
  }

  /** Like `TenantRepository.addBucket`, but reports a bucket that already exists as such, whoever has it. */
  async #claim(tenant: string, bucket: string, ctx: CallContext): Promise<boolean> {
    const isThere = (): Promise<boolean> => this.#storage.bucketExists(bucket, ctx).catch(() => false);
    const exists = (): Error => storageError('bucket_already_exists', `The bucket "${bucket}" already exists.`);
    const { tenantUuid } = await this.#tenants.read(tenant);
    // Not found out by a claim: after that is undone, the next tenant that asks for the bucket would have to wait.
    if (await isThere()) throw exists();
    try {
      return await this.#tenants.addBucket(tenantUuid, bucket, ctx);
    } catch (error) {
      if (hasCode(error, 'tenant_conflict') && (await isThere())) throw exists();
      throw error;
    }
  }

  /**
   * A process that did not know yet may have created the bucket again before it was taken from its owner. The owner then keeps it, unless
   * the owner is being deleted. Whoever creates it from now on learns that it is nobody's (`TenantRepository.keeps`).
   */
  async #handleRecreated(bucket: string, deleted: { readonly owner: string; readonly force: boolean }, ctx: CallContext): Promise<void> {
    const { owner, force } = deleted;
    try {
      if (!(await this.#storage.bucketExists(bucket, ctx))) return;
    } catch (error) {
      if (hasCode(error, 'access_denied')) return; // it is somebody else's by now
      await this.#tenants.giveBack(owner, bucket); // it may exist: the next attempt has to look for it
      throw error;
    }
    try {
      await this.#tenants.addBucket(owner, bucket);
    } catch (error) {
      if (hasCode(error, 'tenant_conflict')) return; // another tenant has it by now
      if (!hasCode(error, 'tenant_not_found')) throw error;
      // Assigned to the owner first: the next attempt finds what cannot be deleted now, and nobody else gets it meanwhile.
      if (await this.#tenants.giveBack(owner, bucket)) await this.deleteBucket(bucket, { force }, ctx);
      else await this.#storage.deleteBucket(bucket, { force }, ctx);
    }
  }

  /** Called after a bucket was created: whoever deleted its owner, or took it away, may not have seen it. @throws tenant_not_found */
  async #assertKept(bucket: string, ctx: CallContext): Promise<void> {
    if (await this.#tenants.keeps(bucket)) return;
    await this.#storage.deleteBucket(bucket, {}, withoutSignal(ctx)).catch(() => {});
    throw deletedMeanwhile();
  }

  /** Empty when another call has deleted the tenant since. */
  async #bucketsOf(tenant: string): Promise<readonly string[]> {
    try {
      return (await this.#tenants.read(tenant)).buckets;
    } catch (error) {
      if (hasCode(error, 'tenant_not_found')) return [];
      throw error;
    }
  }

  /** Finds or registers the tenant, bypassing the cache. @throws tenant_conflict */
  async #registered(id: string, slug: string): Promise<Tenant> {
    const known = await this.#tenants.read(id).catch((error: unknown) => {
      if (hasCode(error, 'tenant_not_found')) return undefined;
      throw error;
    });
    if (known === undefined) return (await this.#tenants.create({ tenantUuid: id, tenantSlug: slug })).tenant;
    if (known.tenantSlug !== slug) throw storageError('tenant_conflict', 'The tenant is registered with another slug.');
    return known;
  }

  /** Whether a bucket does not exist, or belongs to somebody who denies access to it. */
  async #isNotOurs(bucket: string, ctx: CallContext): Promise<boolean> {
    try {
      return !(await this.#storage.bucketExists(bucket, ctx));
    } catch (error) {
      return hasCode(error, 'access_denied');
    }
  }

  async #holdsObjects(bucket: string, ctx: CallContext): Promise<boolean> {
    try {
      return (await this.#storage.listFiles({ bucket, maxKeys: 1 }, ctx)).objects.length > 0;
    } catch (error) {
      if (hasCode(error, 'no_such_bucket')) return false;
      throw error;
    }
  }

  /** Removes objects from buckets that stay. The sweep removes those that the provider does not delete now. */
  async #removeElsewhere(rows: readonly TombstoneRow[], own: readonly string[], ctx: CallContext): Promise<void> {
    const objects = rows
      .filter(({ bucket }) => !own.includes(bucket))
      .flatMap(({ id, bucket, storage_key: key, upload_key: incoming }) =>
        [key, incoming].filter((each) => each !== null).map((each) => ({ id, bucket, key: each })),
      );
    for (const id of await removeObjectsOfRows(this.#storage, objects, ctx)) await hurrySweep(this.#database.sql, { id });
  }
}

const yes = (): boolean => true;
const no = (): boolean => false;

function deletedMeanwhile(): Error {
  return storageError('tenant_not_found', 'The tenant or its bucket was deleted in the meantime.');
}

/** Whoever mends the cause, and tries again, is told that the bucket exists: nothing else would say that it has no rules. */
function leftBehind(bucket: string, error: unknown): unknown {
  if (!isStorageError(error)) return error;
  const { code, message, cause, retryable, retryAfter } = error;
  const left = `The bucket "${bucket}" is the tenant's by now, but may lack its rules: delete it before another attempt.`;
  return storageError(code, `${message} ${left}`, { cause, retryable, ...(retryAfter !== undefined && { retryAfter }) });
}

function notEmpty(): Error {
  return storageError('tenant_not_empty', 'The tenant has files or objects; with force they are deleted too.');
}
