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
      const existing = await getRules(store, bucket, ctx);
      const kept = rules.map((rule) => keeping(rule, existing));
      // Those that are switched off were not told, so that nobody could give them back.
      const off = existing.filter(({ id, isEnabled }) => !isEnabled && !rules.some((rule) => rule.id === id));
      await store.administration.putRules(bucket, [...kept, ...off], ctx);
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

function known({
  isEnabled: _isEnabled,
  isNarrower: _isNarrower,
  raw: _raw,
  smallObjects: _smallObjects,
  ...rule
}: ExistingRule): LifecycleRule {
  return rule;
}

/** The rule as the bucket has it, with all that Coffer does not know of it, if it comes back as `getLifecycle` told it. */
function keeping(rule: LifecycleRule, existing: readonly ExistingRule[]): LifecycleRule | ExistingRule {
  const stored = existing.find(({ id, isEnabled }) => isEnabled && id === rule.id);
  if (stored !== undefined && isSame(stored, rule)) return stored;
  if (stored?.isNarrower === true) {
    const hint = 'Give it back as it is, leave it out, or change it with a tool of the provider.';
    const message = `The lifecycle rule "${rule.id}" is only about objects of certain tags or sizes, which a change would forget. ${hint}`;
    throw storageError('not_supported', message);
  }
  if (rule.expireDays === undefined && rule.abortMultipartDays === undefined && rule.transition === undefined)
    throw storageError(
      'invalid_argument',
      `The lifecycle rule "${rule.id}" would do nothing: neither expire nor move objects, nor abort uploads.`,
    );
  return rule;
}

function isSame(a: LifecycleRule, b: LifecycleRule): boolean {
  return (
    a.prefix === b.prefix &&
    a.expireDays === b.expireDays &&
    a.abortMultipartDays === b.abortMultipartDays &&
    a.transition?.days === b.transition?.days &&
    a.transition?.storageClass === b.transition?.storageClass
  );
}
