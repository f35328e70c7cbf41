import type { LifecycleRule } from './backend.ts';
import { storageError } from './errors.ts';
import { assertSelects } from './listing.ts';

/** @throws invalid_argument for rules that a provider could misread: some would then delete objects that nobody meant */
export function assertLifecycleRules(rules: readonly LifecycleRule[]): void {
  if (!Array.isArray(rules as unknown)) throw storageError('invalid_argument', 'The lifecycle rules of a bucket must be an array.');
  for (const rule of rules) {
    if (typeof rule !== 'object' || rule === null) throw storageError('invalid_argument', 'A lifecycle rule must be an object.');
    const { id, prefix, expireDays, abortMultipartDays, transition } = rule;
    assertSelects(prefix);
    // A lone surrogate is sent as another character, and of two such rules one would replace the other.
    if (typeof id !== 'string' || !id.isWellFormed())
      throw storageError('invalid_argument', 'The id of a lifecycle rule must be a string of valid Unicode.');
    assertDays('expireDays', expireDays, 1);
    assertDays('abortMultipartDays', abortMultipartDays, 1);
    if (transition === undefined) continue;
    // Left out, there would be a transition to nowhere, which some servers store.
    if (typeof transition?.storageClass !== 'string' || transition.days === undefined)
      throw storageError('invalid_argument', 'The transition of a lifecycle rule must have days and a storageClass.');
    assertDays('transition.days', transition.days, 0);
  }
  if (new Set(rules.map(({ id }) => id)).size < rules.length)
    throw storageError('invalid_argument', 'Each lifecycle rule must have an id of its own.');
}

/** Some servers cut a fraction down to whole days. */
function assertDays(name: string, days: number | undefined, min: number): void {
  if (days === undefined || (Number.isSafeInteger(days) && days >= min)) return;
  throw storageError('invalid_argument', `${name} of a lifecycle rule must be a whole number of days, at least ${min}.`);
}
