import {
  DeleteBucketLifecycleCommand,
  GetBucketLifecycleConfigurationCommand,
  PutBucketLifecycleConfigurationCommand,
} from '@aws-sdk/client-s3';
import type { LifecycleRule as S3Rule, S3Client, TransitionDefaultMinimumObjectSize, TransitionStorageClass } from '@aws-sdk/client-s3';
import type { LifecycleRule } from '@coffer/storage-core';

import { smallObjectsOf } from '../administration.ts';
import type { Administration, ExistingRule } from '../administration.ts';
import { call } from '../call.ts';

export function sdkRules(client: S3Client): Pick<Administration, 'getRules' | 'putRules' | 'deleteRules'> {
  return {
    async getRules(bucket, ctx) {
      const command = new GetBucketLifecycleConfigurationCommand({ Bucket: bucket });
      const about = { bucket, permission: 's3:GetLifecycleConfiguration' };
      const output = await call(about, ctx, (options) => client.send(command, options));
      const { Rules = [], TransitionDefaultMinimumObjectSize: smallObjects } = output;
      return Rules.map((rule) => ({ ...ruleFrom(rule), ...(smallObjects !== undefined && { smallObjects }) }));
    },
    async putRules(bucket, rules, ctx) {
      const existing = rules.flatMap((rule) => ('raw' in rule ? [rule.raw as S3Rule] : []));
      // AWS does not accept rules with a filter beside rules of the older kind, whose prefix has none.
      const isOlder = existing.length > 0 && existing.every(({ Prefix }) => Prefix !== undefined);
      const configuration = { Rules: rules.map((rule) => ('raw' in rule ? (rule.raw as S3Rule) : ruleTo(rule, isOlder))) };
      const command = new PutBucketLifecycleConfigurationCommand({
        Bucket: bucket,
        LifecycleConfiguration: configuration,
        TransitionDefaultMinimumObjectSize: smallObjectsOf(rules) as TransitionDefaultMinimumObjectSize | undefined,
      });
      await call({ bucket, permission: 's3:PutLifecycleConfiguration' }, ctx, (options) => client.send(command, options));
    },
    async deleteRules(bucket, ctx) {
      const command = new DeleteBucketLifecycleCommand({ Bucket: bucket });
      await call({ bucket, permission: 's3:PutLifecycleConfiguration' }, ctx, (options) => client.send(command, options));
    },
  };
}

function ruleTo({ id, prefix, expireDays, abortMultipartDays, transition }: LifecycleRule, isOlder: boolean): S3Rule {
  return {
    ID: id,
    Status: 'Enabled',
    ...(isOlder ? { Prefix: prefix } : { Filter: { Prefix: prefix } }),
    ...(expireDays !== undefined && { Expiration: { Days: expireDays } }),
    ...(abortMultipartDays !== undefined && { AbortIncompleteMultipartUpload: { DaysAfterInitiation: abortMultipartDays } }),
    ...(transition !== undefined && {
      Transitions: [{ Days: transition.days, StorageClass: transition.storageClass as TransitionStorageClass }],
    }),
  };
}

function ruleFrom(rule: S3Rule): ExistingRule {
  const [transition] = rule.Transitions ?? [];
  const expireDays = rule.Expiration?.Days;
  const abortMultipartDays = rule.AbortIncompleteMultipartUpload?.DaysAfterInitiation;
  const { Prefix: _prefix, And: { Prefix: _both, ...others } = {}, ...narrower } = rule.Filter ?? {};
  return {
    id: rule.ID ?? '',
    prefix: rule.Filter?.Prefix ?? rule.Filter?.And?.Prefix ?? rule.Prefix ?? '',
    ...(expireDays !== undefined && { expireDays }),
    ...(abortMultipartDays !== undefined && { abortMultipartDays }),
    ...(transition?.StorageClass !== undefined &&
      transition.Days !== undefined && { transition: { days: transition.Days, storageClass: transition.StorageClass } }),
    isEnabled: rule.Status === 'Enabled',
    isNarrower: Object.keys({ ...narrower, ...others }).length > 0,
    raw: withPrefixInAnd(rule),
  };
}

/** As in documents/bucket.ts. */
function withPrefixInAnd(rule: S3Rule): S3Rule {
  const { Prefix, And } = rule.Filter ?? {};
  return Prefix === undefined || And === undefined ? rule : { ...rule, Filter: { And: { ...And, Prefix } } };
}
