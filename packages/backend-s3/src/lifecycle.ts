import { storageError } from '@coffer/storage-core';
import type { CallContext, LifecycleOperations, LifecycleRule } from '@coffer/storage-core';

import type { ExistingRule } from './administration.ts';
import { assertBucketExists } from './assert-bucket-exists.ts';
import { causeName } from './provider-error.ts';
import type { Store } from './store.ts';

export function lifecycleOperations(store: Store): LifecycleOperations {
  return {
    getLifecycle: async (bucket, ctx) => (await getRules(store, bucket, ctx)).filter(({ isEnabled }) => isEnabled).map(known),
    async setLifecycle(bucket, rules, ctx) {
      await assertBucketExists(store, bucket, ctx);
      if (rules.length === 0) return await store.administration.deleteRules(bucket, ctx);
      const profile = await store.endpoint.profileIfAllowed(bucket, ctx);
      if (profile?.lifecycle === false) throw storageError('not_supported', 'This storage provider has no lifecycle rules.');
      // Some servers drop the abort from a rule that has other parts, and still report success.
      if (profile?.abortRule === false && rules.some(({ abortMultipartDays }) => abortMultipartDays !== undefined))
        throw storageError('not_supported', 'This storage provider has no rules that abort multipart uploads.');
      await store.administration.putRules(bucket, rules, ctx);
    },
    async deleteLifecycle(bucket, ctx) {
      await assertBucketExists(store, bucket, ctx);
      await store.administration.deleteRules(bucket, ctx);
    },
  };
}

export async function getRules(store: Store, bucket: string, ctx: CallContext): Promise<readonly ExistingRule[]> {
  try {
    return await store.administration.getRules(bucket, ctx);
  } catch (error) {
    if (causeName(error) === 'NoSuchLifecycleConfiguration') return [];
    throw error;
  }
}

function known({ isEnabled: _isEnabled, raw: _raw, smallObjects: _smallObjects, ...rule }: ExistingRule): LifecycleRule {
  return rule;
}
