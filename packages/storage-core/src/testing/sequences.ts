import assert from 'node:assert/strict';

import fc from 'fast-check';

import { memoryBackend } from '../memory-backend.ts';
import { StorageService } from '../storage-service.ts';
import { anySequence } from './any-sequence.ts';
import type { BackendOptions, Subject, Suite } from './harness.ts';
import { Side } from './operations.ts';
import type { Operation, Place } from './operations.ts';

/** For how long, in ms, a shorter sequence that fails is looked for: test runners end a test that takes long, and say nothing about it. */
const maxShortening = 15_000;

/**
 * Operations follow each other as nobody would write them down, and each must do to the backend what it does to the memory backend. A
 * failure names the shortest sequence that was found, and the seed to repeat it with.
 */
export function sequences({ options, describe, test }: Suite): void {
  describe('sequences', () => {
    test('of operations do what they do in memory', async (t) => {
      const { bucket, release } = await t.otherBucket();
      try {
        await agrees(t, options, { withVersioning: false }, async (run) => run([t.bucket, bucket]));
      } finally {
        await release();
      }
    });

    if (!options.abilities.versioning || !options.abilities.buckets) return;

    test('of operations do what they do in memory also while versions are kept, and when they no longer are', async (t) => {
      await agrees(t, options, { withVersioning: true }, async (run) => {
        const { bucket, release } = await t.otherBucket();
        try {
          await run([t.bucket, bucket]);
        } finally {
          await release();
        }
      });
    });
  });
}

type Kind = Parameters<typeof anySequence>[1];
type Run = (buckets: readonly [string, string]) => Promise<void>;

async function agrees(t: Subject, options: BackendOptions, kind: Kind, inBuckets: (run: Run) => Promise<void>): Promise<void> {
  const { runs = 30, seed = 1 } = options.sequences ?? {};
  let count = 0;
  let failedAt: number | undefined;
  const property = fc.asyncProperty(anySequence(options, kind), async (sequence) => {
    // Whatever passes is not taken for a shorter sequence that fails.
    if (failedAt !== undefined && Date.now() - failedAt > maxShortening) return;
    try {
      await inBuckets((buckets) => runSequence(sequence, t, buckets, { ...kind, prefix: `${t.prefix}${++count}/` }));
    } catch (error) {
      failedAt ??= Date.now();
      throw error;
    }
  });
  await fc.assert(property, { numRuns: runs, seed, includeErrorInReport: true });
}

async function runSequence(
  sequence: readonly Operation[],
  t: Subject,
  buckets: readonly [string, string],
  { prefix, withVersioning }: Kind & { readonly prefix: string },
): Promise<void> {
  const actual = new Side(new StorageService({ backend: t.backend }), buckets, prefix);
  const memory = new StorageService({ backend: memoryBackend({ buckets }) });
  const expected = new Side(memory, buckets, prefix);
  for (const [index, operation] of [...sequence, ...epilogue(sequence)].entries()) {
    const outcome = await actual.perform(operation);
    // Ceph judges no condition of a write where versions are kept, and refuses some that hold where they no longer are. What it did not do,
    // memory need not do either.
    const mayRefuse = isConditional(operation) && operation.do !== 'get';
    if (mayRefuse && (outcome === 'not_supported' || (withVersioning && outcome === 'precondition_failed'))) continue;
    const wanted = await expected.perform(operation);
    if (mayNameEither(operation, outcome) && mayNameEither(operation, wanted)) continue;
    assert.deepEqual(outcome, wanted, `operation ${index + 1}, ${JSON.stringify(operation)}`);
  }
  await t.assertNoLeftovers();
}

/** Looks at all that a sequence has touched. */
function epilogue(sequence: readonly Operation[]): readonly Operation[] {
  const places = new Map<string, Place>();
  for (const operation of sequence) {
    const touched = 'at' in operation ? [operation.at] : 'from' in operation ? [operation.from, operation.to] : [];
    for (const place of touched) places.set(JSON.stringify(place), place);
  }
  return [
    ...[...places.values()].map((at) => ({ do: 'get' as const, at })),
    ...([0, 1] as const).map((bucket) => ({ do: 'list' as const, bucket, prefix: '' })),
  ];
}

function isConditional(operation: Operation): boolean {
  return 'ifMatch' in operation || 'ifNoneMatch' in operation;
}

/** A copy whose source is missing, to an object that should not be there. */
function mayNameEither(operation: Operation, outcome: unknown): boolean {
  return 'from' in operation && isConditional(operation) && (outcome === 'file_not_found' || outcome === 'precondition_failed');
}
