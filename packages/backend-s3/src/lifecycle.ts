import {
  DeleteBucketLifecycleCommand,
  GetBucketLifecycleConfigurationCommand,
  PutBucketLifecycleConfigurationCommand,
} from '@aws-sdk/client-s3';
import type { LifecycleRule as S3Rule, TransitionStorageClass } from '@aws-sdk/client-s3';
import { storageError } from '@coffer/storage-core';
import type { CallContext, LifecycleOperations, LifecycleRule } from '@coffer/storage-core';

import { call } from './call.ts';
import { causeName } from './errors.ts';
import type { Store } from './store.ts';

export function lifecycleOperations(store: Store): LifecycleOperations {
  const remove = async (bucket: string, ctx: CallContext): Promise<void> => {
    const command = new DeleteBucketLifecycleCommand({ Bucket: bucket });
    await call({ bucket, permission: 's3:PutLifecycleConfiguration' }, ctx, async (options) =>
      (await store.sdk()).client.send(command, options),
    );
  };
  return {
    getLifecycle: async (bucket, ctx) => (await getRules(store, bucket, ctx)).filter((rule) => rule.Status === 'Enabled').map(ruleFrom),
    async setLifecycle(bucket, rules, ctx) {
      if (rules.length === 0) return remove(bucket, ctx);
      await assertAbortHolds(store, bucket, rules);
      await putRules(store, bucket, rules.map(ruleTo), ctx);
    },
    deleteLifecycle: remove,
  };
}

/** Some servers drop it from a rule that says more, and answer as if they had not. @throws not_supported */
async function assertAbortHolds(store: Store, bucket: string, rules: readonly LifecycleRule[]): Promise<void> {
  if (!rules.some(({ abortMultipartDays }) => abortMultipartDays !== undefined) || (await store.profile(bucket)).abortRule) return;
  throw storageError('not_supported', 'This storage provider has no rules that abort multipart uploads.');
}

export async function getRules(store: Store, bucket: string, ctx: CallContext): Promise<readonly S3Rule[]> {
  const command = new GetBucketLifecycleConfigurationCommand({ Bucket: bucket });
  try {
    const { Rules = [] } = await call({ bucket, permission: 's3:GetLifecycleConfiguration' }, ctx, async (options) =>
      (await store.sdk()).client.send(command, options),
    );
    return Rules;
  } catch (error) {
    if (causeName(error) === 'NoSuchLifecycleConfiguration') return [];
    throw error;
  }
}

export async function putRules(store: Store, bucket: string, rules: readonly S3Rule[], ctx: CallContext): Promise<void> {
  const command = new PutBucketLifecycleConfigurationCommand({ Bucket: bucket, LifecycleConfiguration: { Rules: [...rules] } });
  await call({ bucket, permission: 's3:PutLifecycleConfiguration' }, ctx, async (options) =>
    (await store.sdk()).client.send(command, options),
  );
}

export function ruleTo({ id, prefix, expireDays, abortMultipartDays, transition }: LifecycleRule): S3Rule {
  return {
    ID: id,
    Status: 'Enabled',
    Filter: { Prefix: prefix },
    ...(expireDays !== undefined && { Expiration: { Days: expireDays } }),
    ...(abortMultipartDays !== undefined && { AbortIncompleteMultipartUpload: { DaysAfterInitiation: abortMultipartDays } }),
    ...(transition !== undefined && {
      Transitions: [{ Days: transition.days, StorageClass: transition.storageClass as TransitionStorageClass }],
    }),
  };
}

function ruleFrom(rule: S3Rule): LifecycleRule {
  const [transition] = rule.Transitions ?? [];
  const expireDays = rule.Expiration?.Days;
  const abortMultipartDays = rule.AbortIncompleteMultipartUpload?.DaysAfterInitiation;
  return {
    id: rule.ID ?? '',
    prefix: rule.Filter?.Prefix ?? rule.Filter?.And?.Prefix ?? rule.Prefix ?? '',
    ...(expireDays !== undefined && { expireDays }),
    ...(abortMultipartDays !== undefined && { abortMultipartDays }),
    ...(transition?.StorageClass !== undefined && {
      transition: { days: transition.Days ?? 0, storageClass: transition.StorageClass },
    }),
  };
}
