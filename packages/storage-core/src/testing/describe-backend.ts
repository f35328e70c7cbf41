import { aborts } from './aborts.ts';
import { abilities } from './abilities.ts';
import { acl } from './acl.ts';
import { bucketRules } from './bucket-rules.ts';
import { buckets } from './buckets.ts';
import { concurrency } from './concurrency.ts';
import { conditionalDeletes } from './conditional-deletes.ts';
import { conditions } from './conditions.ts';
import { copy } from './copy.ts';
import { deletes } from './delete.ts';
import { errors } from './errors.ts';
import { suiteOf } from './harness.ts';
import type { BackendOptions, TestRunner } from './harness.ts';
import { listing } from './listing.ts';
import { objects } from './objects.ts';
import { presign } from './presign.ts';
import { pulls } from './pull.ts';
import { ranges } from './ranges.ts';
import { sequences } from './sequences.ts';
import { streams } from './streams.ts';

/**
 * Defines the conformance suite of a backend: what `StorageBackend` promises, as tests.
 *
 * ```ts
 * import { describe, it } from 'vitest'; // node:test works as well
 * describeBackend({ describe, it }, 'ceph', { abilities, start });
 * ```
 * @param name the suite's name in the report
 */
export function describeBackend(runner: TestRunner, name: string, options: BackendOptions): void {
  runner.describe(name, () => {
    const { suite, stop } = suiteOf(runner, options);
    abilities(suite);
    objects(suite);
    streams(suite);
    ranges(suite);
    conditions(suite);
    listing(suite);
    copy(suite);
    deletes(suite);
    aborts(suite);
    errors(suite);
    concurrency(suite);
    const { abilities: has } = options;
    if (has.buckets) buckets(suite);
    acl(suite);
    if (has.presign !== false) presign(suite);
    if (has.pull === true) pulls(suite);
    if (has.deleteIfMatch === true) conditionalDeletes(suite);
    bucketRules(suite);
    sequences(suite);
    if (runner.after === undefined) runner.it('stops', stop);
    else runner.after(stop);
  });
}
