import { PutBucketLifecycleConfigurationCommand } from '@aws-sdk/client-s3';
import type { LifecycleRule } from '@aws-sdk/client-s3';
import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import { describe, expect, it } from 'vitest';

import type { HeldRule } from './administration.ts';
import { openStore } from './open-store.ts';
import { awsProfile } from './profile.ts';
import { doors, faultBench } from './testing/fault-bench.ts';
import { sdkOn } from './testing/server.ts';

const abort = { AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 } };
const ours = { id: 'coffer-abort-stale-uploads', prefix: '', abortMultipartDays: 1, isEnabled: true };

describe.each(doors)('the rule against stale uploads (%s)', (door) => {
  const bench = faultBench(door, () => startS3('ceph'));
  const rules = async (): Promise<readonly Omit<HeldRule, 'whole'>[]> => {
    const store = openStore(bench.account);
    const held = await store.administration.getRules(bench.bucket, noContext);
    store.connection.close();
    return held.map(({ whole: _whole, ...rule }) => rule);
  };

  it.each<[string, LifecycleRule, readonly string[]]>([
    ['is set beside one that is disabled', { ID: 'theirs', Status: 'Disabled', Filter: { Prefix: '' }, ...abort }, ['theirs', ours.id]],
    ['is set beside one for some keys', { ID: 'theirs', Status: 'Enabled', Filter: { Prefix: 'logs/' }, ...abort }, ['theirs', ours.id]],
    [
      'is set beside one of another kind',
      { ID: 'theirs', Status: 'Enabled', Filter: { Prefix: '' }, Expiration: { Days: 9 } },
      ['theirs', ours.id],
    ],
    ['is not set beside one that does the same', { ID: 'theirs', Status: 'Enabled', Filter: { Prefix: '' }, ...abort }, ['theirs']],
    ['takes the place of one by its name', { ID: ours.id, Status: 'Disabled', Filter: { Prefix: '' }, ...abort }, [ours.id]],
  ])('%s', async (_name, rule, names) => {
    const sdk = sdkOn(bench.account);
    const given = { Bucket: bench.bucket, LifecycleConfiguration: { Rules: [rule] } };
    await sdk.client.send(new PutBucketLifecycleConfigurationCommand(given));
    sdk.close();
    const before = await rules();
    expect(before).toHaveLength(1);
    // Ceph may answer 500 to one of two changes of a bucket at the same time.
    await bench.through({ maxRetries: 3 }, { profile: awsProfile }).buckets!.provision!(bench.bucket, { corsOrigins: ['*'] }, noContext);
    const after = await rules();
    expect(after.map(({ id }) => id).toSorted()).toEqual(names.toSorted());
    for (const held of after) expect(held).toEqual(held.id === ours.id ? ours : before[0]);
  });
});
