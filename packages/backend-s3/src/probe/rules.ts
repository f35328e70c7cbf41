import { noContext } from '@coffer/storage-core';
import type { LifecycleRule } from '@coffer/storage-core';

import { corsFor } from '../cors.ts';
import type { EndpointProfile } from '../profile.ts';
import type { Store } from '../store.ts';
import { isDenied } from './refusals.ts';
import type { Sandbox } from './sandbox.ts';

/** Probes the rules of a bucket, but not in one that others use. */
export async function bucketRules(
  store: Store,
  { bucket, isOwn }: Sandbox,
): Promise<Pick<EndpointProfile, 'versioning' | 'lifecycle' | 'abortRule' | 'cors'>> {
  if (!isOwn) return { versioning: undefined, lifecycle: undefined, abortRule: undefined, cors: undefined };
  const rule = { id: 'probe', prefix: 'never/' };
  const { administration } = store;
  /** Whether a rule is there after setting it: some servers only say so. Undefined if the credentials may not set it. */
  const has = async (setting: Promise<void>, isThere: () => Promise<boolean>): Promise<boolean | undefined> => {
    let isHeld = false;
    const trying = setting.then(async () => void (isHeld = await isThere()));
    return (await isDenied(trying)) ? undefined : isHeld;
  };
  const takesRule = (more: Pick<LifecycleRule, 'expireDays' | 'abortMultipartDays'>): Promise<boolean | undefined> =>
    has(administration.putRules(bucket, [{ ...rule, ...more }], noContext), async () =>
      (await administration.getRules(bucket, noContext)).some(
        ({ expireDays, abortMultipartDays }) => expireDays === more.expireDays && abortMultipartDays === more.abortMultipartDays,
      ),
    );
  const cors = await has(
    administration.putCors(bucket, [corsFor(['*'])], noContext),
    async () => (await administration.getCors(bucket, noContext)).length > 0,
  );
  // One after the other: Ceph sometimes answers 500 to one of two concurrent changes of a bucket.
  const lifecycle = await takesRule({ expireDays: 3650 });
  const abortRule = await takesRule({ abortMultipartDays: 3650 });
  // Backblaze keeps versions in every bucket, from the start.
  const areKept = await administration.getVersioning(bucket, noContext).catch(() => false);
  const versioning =
    areKept || (await has(administration.setVersioning(bucket, true, noContext), () => administration.getVersioning(bucket, noContext)));
  return { versioning, lifecycle, abortRule, cors };
}
