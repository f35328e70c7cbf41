import { hasCode, noContext } from '@coffer/storage-core';
import type { LifecycleRule } from '@coffer/storage-core';

import { corsFor, getCors } from '../cors.ts';
import { getRules } from '../lifecycle.ts';
import type { EndpointProfile } from '../profile.ts';
import type { Store } from '../store.ts';
import { answerTo } from './refusals.ts';
import type { Sandbox } from './sandbox.ts';

/** Probes the rules of a bucket, but not in one that others use. */
export async function bucketRules(
  store: Store,
  sandbox: Sandbox,
): Promise<Pick<EndpointProfile, 'versioning' | 'lifecycle' | 'abortRule' | 'cors'>> {
  const { bucket, isOwn } = sandbox;
  if (!isOwn) return { versioning: undefined, lifecycle: undefined, abortRule: undefined, cors: undefined };
  const rule = { id: 'probe', prefix: 'never/' };
  const { administration } = store;
  /** Whether a rule is there after setting it: some servers only say so. Undefined if the credentials may not set it. */
  const has = async (set: () => Promise<void>, isThere: () => Promise<boolean>): Promise<boolean | undefined> => {
    const answer = await answerTo(sandbox, async () => {
      await set();
      return isThere();
    });
    if (typeof answer === 'boolean') return answer;
    return hasCode(answer, 'access_denied') ? undefined : false;
  };
  const takesRule = (more: Pick<LifecycleRule, 'expireDays' | 'abortMultipartDays'>): Promise<boolean | undefined> =>
    has(
      () => administration.putRules(bucket, [{ ...rule, ...more }], noContext),
      async () =>
        (await getRules(store, bucket, noContext)).some(
          ({ expireDays, abortMultipartDays }) => expireDays === more.expireDays && abortMultipartDays === more.abortMultipartDays,
        ),
    );
  const cors = await has(
    () => administration.putCors(bucket, [corsFor(['*'])], noContext),
    async () => (await getCors(store, bucket, noContext)).length > 0,
  );
  // One after the other: Ceph sometimes answers 500 to one of two concurrent changes of a bucket.
  const lifecycle = await takesRule({ expireDays: 3650 });
  const abortRule = await takesRule({ abortMultipartDays: 3650 });
  // Backblaze keeps versions in every bucket, from the start.
  const areKept = await keepsVersions(store, sandbox);
  const versioning =
    areKept ||
    (await has(
      () => administration.setVersioning(bucket, true, noContext),
      () => administration.getVersioning(bucket, noContext),
    ));
  return { versioning, lifecycle, abortRule, cors };
}

/** Whether the bucket keeps versions, as far as the server says. */
export async function keepsVersions({ administration }: Store, sandbox: Sandbox): Promise<boolean> {
  let areKept = false;
  const look = async (): Promise<void> => void (areKept = await administration.getVersioning(sandbox.bucket, noContext));
  await answerTo(sandbox, look, { isDispensable: true });
  return areKept;
}
