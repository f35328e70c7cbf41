import type { CallContext, CannedAcl } from '@coffer/storage-core';

import { aclHeader } from './acl-header.ts';
import { translateAclError } from './acl-support.ts';
import { wasInDoubt } from './in-doubt.ts';
import { causeCode, causeName } from './provider-error.ts';
import type { Store } from './store.ts';

// The first region has no LocationConstraint.
const defaultRegion = 'us-east-1';

/** AWS keeps such names for the account and region in them, and creates no bucket with one unless the request says so. */
const accountRegional = /-\d{12}-(?:[a-z]+-){2,3}\d+-an$/;

export async function createBucket(
  store: Store,
  bucket: string,
  { region, acl }: { readonly region?: string; readonly acl?: CannedAcl },
  ctx: CallContext,
): Promise<void> {
  const { region: configured, isAws } = store.settings;
  const namespace = isAws && accountRegional.test(bucket) ? ({ namespace: 'account-regional' } as const) : {};
  const send = async (target: string): Promise<void> => {
    try {
      const options = { ...(target !== defaultRegion && { locationConstraint: target }), ...aclHeader(acl), ...namespace };
      await store.administration.createBucket(bucket, options, ctx);
    } catch (error) {
      if (causeName(error) !== 'BucketAlreadyOwnedByYou' || !wasInDoubt(error)) throw translateAclError(error, acl); // else from a lost first attempt
    }
  };
  const wanted = region ?? configured;
  try {
    await send(wanted);
  } catch (error) {
    if (isAws && causeName(error) === 'IllegalLocationConstraintException') return sendTo(store, bucket, wanted, error, () => send(wanted));
    // A server other than AWS may have only one region, whatever region is signed for.
    const isUnknown = /LocationConstraint|InvalidRegion/.test(causeName(error));
    if (isAws || !isUnknown || wanted !== configured || wanted === defaultRegion) throw error;
    await send(defaultRegion);
  }
}

/** The regions of AWS, but the first, create only their own buckets. @throws `refusal` if there is no such region */
async function sendTo(store: Store, bucket: string, region: string, refusal: unknown, send: () => Promise<void>): Promise<void> {
  const { bucketEndpoints } = store.connection;
  const used = bucketEndpoints.of(bucket);
  if (!bucketEndpoints.learn(bucket, used, region)) throw refusal;
  try {
    await send();
  } catch (error) {
    bucketEndpoints.learn(bucket, bucketEndpoints.of(bucket), used.region);
    throw causeCode(error) === 'ENOTFOUND' ? refusal : error;
  }
}
