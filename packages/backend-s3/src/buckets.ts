import { hasCode, storageError, untilAborted } from '@coffer/storage-core';
import type { BucketInfo, BucketOperations, CallContext } from '@coffer/storage-core';

import { assertAclSupported } from './acl-support.ts';
import { listBuckets } from './bucket-list.ts';
import { regionOf, regionOfNewBucket } from './bucket-region.ts';
import { inParallel } from './concurrency.ts';
import { createBucket } from './create-bucket.ts';
import { deleteBucketByForce, deleteEmptyBucket } from './empty-bucket.ts';
import { isElsewhere } from './errors.ts';
import { causeCode, causeName, causeStatus } from './provider-error.ts';
import { provisionBucket } from './provision.ts';
import type { Store } from './store.ts';

export function bucketOperations(store: Store): Required<BucketOperations> {
  // Some servers let the owner create a bucket twice, so of several concurrent calls in this process exactly one may win. The others are
  // told only after it has succeeded, because they then rely on the bucket.
  const creating = new Map<string, Promise<void>>();
  const createOnce = async (...[bucket, options, ctx]: Parameters<BucketOperations['create']>): Promise<void> => {
    if (await bucketExists(store, bucket, ctx)) throw storageError('bucket_already_exists', `The bucket "${bucket}" already exists.`);
    await assertAclSupported(store, bucket, options.acl, ctx);
    await createBucket(store, bucket, options, ctx);
  };
  return {
    async create(bucket, options, ctx) {
      for (let other = creating.get(bucket); other !== undefined; other = creating.get(bucket)) {
        const ended = other.catch(() => {});
        await untilAborted(ended, ctx.signal);
      }
      ctx.signal?.throwIfAborted();
      const attempt = createOnce(bucket, options, ctx).finally(() => creating.delete(bucket));
      creating.set(bucket, attempt);
      await attempt;
      return {
        name: bucket,
        region: await regionOfNewBucket(store, bucket, options.region),
        createdAt: new Date(),
        versioningEnabled: false,
      };
    },
    head: (bucket, ctx) => headBucket(store, bucket, ctx),
    find: async (bucket, ctx) => void (await store.transport.headBucket(bucket, ctx)),
    async list(ctx) {
      const buckets = await listBuckets(store, ctx);
      const infos = await inParallel(buckets, 8, async ({ name, createdAt, region }) => {
        const [known, versioningEnabled] = await Promise.all([
          region ?? regionOf(store, name, ctx).catch(ignoreInaccessible),
          store.administration.getVersioning(name, ctx).catch(ignoreInaccessible),
        ]);
        return { name, createdAt, region: known ?? store.settings.region, versioningEnabled: versioningEnabled ?? false };
      });
      return infos.sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    async delete(bucket, { force = false }, ctx) {
      if (force) return deleteBucketByForce(store, bucket, ctx);
      await assertEmpty(store, bucket, ctx);
      return deleteEmptyBucket(store, bucket, ctx);
    },
    provision: (bucket, { corsOrigins }, ctx) => provisionBucket(store, bucket, corsOrigins, ctx),
  };
}

/** Some servers delete a bucket with everything in it. Looking costs less than probing for this. @throws bucket_not_empty */
async function assertEmpty(store: Store, bucket: string, ctx: CallContext): Promise<void> {
  if (store.endpoint.known?.keepsFullBuckets === true) return;
  try {
    const { objects } = await store.transport.list(bucket, { maxKeys: 1 }, ctx);
    if (objects.length > 0) throw storageError('bucket_not_empty', `The bucket "${bucket}" holds objects.`);
  } catch (error) {
    // Credentials that may not list may still delete, if the server checks by itself.
    if (!hasCode(error, 'access_denied') || (await store.endpoint.profileIfAllowed(bucket, ctx))?.keepsFullBuckets === false) throw error;
  }
}

/** A listed bucket that cannot be inspected: it was deleted meanwhile, we may not look into it, or the endpoint does not lead there. */
function ignoreInaccessible(error: unknown): undefined {
  if (hasCode(error, 'no_such_bucket', 'access_denied', 'not_supported') || isOutOfReach(error)) return undefined;
  throw error;
}

/**
 * Whether the bucket is in a region of AWS, or in a zone group of Ceph, that the endpoint does not lead to. A private endpoint redirects to
 * it and takes no signature for it. Where there are no FIPS endpoints, there is no such host.
 */
function isOutOfReach(error: unknown): boolean {
  return isElsewhere(causeStatus(error)) || causeName(error) === 'AuthorizationHeaderMalformed' || causeCode(error) === 'ENOTFOUND';
}

async function headBucket(store: Store, bucket: string, ctx: CallContext): Promise<BucketInfo> {
  const regionOfHead = await store.transport.headBucket(bucket, ctx);
  const [region, versioningEnabled, createdAt] = await Promise.all([
    regionOfHead ?? regionOf(store, bucket, ctx),
    store.administration.getVersioning(bucket, ctx).catch((error: unknown) => {
      if (hasCode(error, 'not_supported')) return false;
      throw error;
    }),
    createdAtOf(store, bucket, ctx),
  ]);
  return { name: bucket, region, createdAt, versioningEnabled };
}

/** Only the list of all buckets has the date. It is 1970 for credentials that may not list them. */
async function createdAtOf(store: Store, bucket: string, ctx: CallContext): Promise<Date> {
  try {
    return (await listBuckets(store, ctx, bucket)).find(({ name }) => name === bucket)?.createdAt ?? new Date(0);
  } catch (error) {
    if (hasCode(error, 'access_denied')) return new Date(0);
    throw error;
  }
}

/** Whether a bucket that we may not look into is ours: AWS creates such a one again, with the ACL of a new bucket. */
async function isListed(store: Store, bucket: string, ctx: CallContext): Promise<boolean> {
  const ours = await listBuckets(store, ctx, bucket).catch(() => []); // creating it will tell
  return ours.some(({ name }) => name === bucket);
}

/** Whether the bucket exists, asked before it is created. */
async function bucketExists(store: Store, bucket: string, ctx: CallContext): Promise<boolean> {
  try {
    await store.transport.headBucket(bucket, ctx);
    return true;
  } catch (error) {
    if (hasCode(error, 'no_such_bucket')) return false;
    // The bucket belongs to somebody else or is in another region, so it exists. Wrong credentials, however, prove nothing about it.
    const status = causeStatus(error);
    if (isElsewhere(status) && causeName(error) !== 'NoS3AnswerError') return true;
    if (status === 403) return isListed(store, bucket, ctx);
    throw error;
  }
}
