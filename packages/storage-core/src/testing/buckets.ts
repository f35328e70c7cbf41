import assert from 'node:assert/strict';

import { requireAbility } from '../ability.ts';
import type { BucketInfo, BucketOperations } from '../backend.ts';
import { noContext } from '../context.ts';
import { hasCode } from '../errors.ts';
import { assertAbout, assertRejects, missingBucket, newBucketName, streamBody, streamOf } from './harness.ts';
import type { Subject, Suite } from './harness.ts';

function assertNew(info: BucketInfo, bucket: string): void {
  assert.equal(info.name, bucket);
  assert.equal(info.versioningEnabled, false);
  assert.match(info.region, /^[\w-]+$/);
  assertAbout(info.createdAt, Date.now());
}

/** Runs with a new bucket that is deleted afterwards. */
async function withBucket(t: Subject, run: (bucket: string, buckets: BucketOperations) => Promise<void>): Promise<void> {
  const buckets = requireAbility(t.backend, 'buckets');
  const bucket = newBucketName();
  const created = await buckets.create(bucket, {}, noContext);
  try {
    assertNew(created, bucket);
    await run(bucket, buckets);
  } finally {
    await buckets.delete(bucket, { force: true }, noContext).catch(() => {}); // most tests have deleted it
  }
}

export function buckets({ describe, test }: Suite): void {
  describe('buckets', () => {
    test('creates a bucket and tells of it', (t) =>
      withBucket(t, async (bucket, operations) => {
        await operations.find?.(bucket, noContext);
        const listed = (await operations.list(noContext)).find((info) => info.name === bucket);
        assert.ok(listed !== undefined, 'the bucket is listed');
        for (const info of [await operations.head(bucket, noContext), listed]) assertNew(info, bucket);
        assert.deepEqual((await t.backend.list(bucket, {}, noContext)).objects, []);
      }));

    test('lists buckets in the order of their names', (t) =>
      withBucket(t, (first) =>
        withBucket(t, async (second, operations) => {
          const names = (await operations.list(noContext)).map((info) => info.name);
          assert.deepEqual([...names], [...names].sort());
          for (const name of [t.bucket, first, second]) assert.ok(names.includes(name), name);
        }),
      ));

    test('refuses to create a bucket twice', (t) =>
      withBucket(t, async (bucket, operations) => {
        await t.put({ bucket, key: 'kept' }, 'kept');
        await assertRejects(operations.create(bucket, {}, noContext), 'bucket_already_exists');
        await t.assertHolds({ bucket, key: 'kept' }, 'kept');
      }));

    test('lets one of many creators of a bucket win', async (t) => {
      const bucket = newBucketName();
      const operations = requireAbility(t.backend, 'buckets');
      const results = await Promise.allSettled(Array.from({ length: 8 }, async () => operations.create(bucket, {}, noContext)));
      assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1);
      await operations.delete(bucket, {}, noContext);
    });

    test('tells a creator that a bucket exists already only once it does', async (t) => {
      const bucket = newBucketName();
      const operations = requireAbility(t.backend, 'buckets');
      const create = async (): Promise<void> => {
        try {
          await operations.create(bucket, {}, noContext);
        } catch (error) {
          assert.ok(hasCode(error, 'bucket_already_exists'), String(error));
          await operations.head(bucket, noContext);
        }
      };
      await Promise.all(Array.from({ length: 8 }, create));
      await operations.delete(bucket, {}, noContext);
    });

    test('lets one of several concurrent deleters of a bucket win, and the others find that it is gone', (t) =>
      withBucket(t, async (bucket, operations) => {
        for (const key of ['a', 'b', 'c']) await t.put({ bucket, key }, 'x');
        const calls = Array.from({ length: 5 }, () => operations.delete(bucket, { force: true }, noContext));
        const results = await Promise.allSettled(calls);
        assert.ok(results.some(({ status }) => status === 'fulfilled'));
        for (const result of results) {
          if (result.status === 'rejected') assert.ok(hasCode(result.reason, 'no_such_bucket'), String(result.reason));
        }
        await assertRejects(operations.head(bucket, noContext), 'no_such_bucket');
      }));

    test('deletes an empty bucket', (t) =>
      withBucket(t, async (bucket, operations) => {
        await operations.delete(bucket, {}, noContext);
        await assertRejects(operations.head(bucket, noContext), 'no_such_bucket');
        assert.ok(!(await operations.list(noContext)).some((info) => info.name === bucket));
        await assertRejects(operations.delete(bucket, {}, noContext), 'no_such_bucket');
      }));

    test('refuses to delete a bucket with objects unless it is forced', (t) =>
      withBucket(t, async (bucket, operations) => {
        const keys = ['a', 'b/c', 'b/d/e', '日本'];
        for (const key of keys) await t.put({ bucket, key }, key);
        await assertRejects(operations.delete(bucket, {}, noContext), 'bucket_not_empty');
        await assertRejects(operations.delete(bucket, { force: false }, noContext), 'bucket_not_empty');
        for (const key of keys) await t.assertHolds({ bucket, key }, key);
        await operations.delete(bucket, { force: true }, noContext);
        await assertRejects(operations.head(bucket, noContext), 'no_such_bucket');
        await operations.create(bucket, {}, noContext);
        assert.deepEqual((await t.backend.list(bucket, {}, noContext)).objects, [], 'a new bucket of the name is empty');
        await assertRejects(t.head({ bucket, key: 'a' }), 'file_not_found');
      }));

    test('lets a bucket go once its last object is gone', (t) =>
      withBucket(t, async (bucket, operations) => {
        await t.put({ bucket, key: 'x/y/z' }, '1');
        await t.backend.delete({ bucket, key: 'x/y/z' }, noContext);
        await operations.delete(bucket, {}, noContext);
      }));

    test('keeps objects of one key in two buckets apart', (t) =>
      withBucket(t, async (bucket) => {
        await t.put({ bucket, key: 'same' }, 'theirs');
        await t.put({ bucket: t.bucket, key: 'same' }, 'ours');
        await t.assertHolds({ bucket, key: 'same' }, 'theirs');
        await t.backend.delete({ bucket: t.bucket, key: 'same' }, noContext);
        await t.assertHolds({ bucket, key: 'same' }, 'theirs');
      }));

    test('provisions a bucket, once or again', (t) =>
      withBucket(t, async (bucket, operations) => {
        await operations.provision?.(bucket, { corsOrigins: ['*'] }, noContext);
        await operations.provision?.(bucket, { corsOrigins: ['https://app.example'] }, noContext);
        await t.put({ bucket, key: 'x' }, 'x');
        await t.assertHolds({ bucket, key: 'x' }, 'x');
      }));

    test('knows a bucket that is not there from an object that is not there', async (t) => {
      const at = { bucket: missingBucket, key: 'x' };
      const body = streamBody(streamOf('x'));
      await t.put(t.at('here'), 'x');
      await assertRejects(t.put(at, 'x'), 'no_such_bucket');
      await assertRejects(t.putBody(at, body), 'no_such_bucket');
      assert.ok(body.stream.destroyed, 'the stream of a refused write is destroyed');
      await assertRejects(t.open(at), 'no_such_bucket');
      await assertRejects(t.head(at), 'no_such_bucket');
      await assertRejects(t.backend.delete(at, noContext), 'no_such_bucket');
      // No key begins with some of these: a server may answer that it found none without a look at the bucket.
      for (const prefix of ['', 'x', 'x/', '/', 'x//', 'x//y', './', '../x', 'x/../y', '..', `${'x'.repeat(300)}/`])
        await assertRejects(t.backend.list(missingBucket, { prefix }, noContext), 'no_such_bucket', `a list of "${prefix}"`);
      await assertRejects(t.backend.copy(at, t.at('to'), {}, noContext), 'no_such_bucket');
      await assertRejects(t.backend.copy(t.at('here'), at, {}, noContext), 'no_such_bucket');
      await t.assertAbsent(t.at('to'));
    });

    test('rejects operations on a bucket that is not there', async ({ backend }) => {
      const operations = requireAbility(backend, 'buckets');
      await assertRejects(operations.head(missingBucket, noContext), 'no_such_bucket');
      if (operations.find !== undefined) await assertRejects(operations.find(missingBucket, noContext), 'no_such_bucket');
      await assertRejects(operations.delete(missingBucket, {}, noContext), 'no_such_bucket');
      await assertRejects(operations.delete(missingBucket, { force: true }, noContext), 'no_such_bucket');
    });
  });
}
