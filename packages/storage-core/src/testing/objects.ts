import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';

import { noContext } from '../context.ts';
import { compareKeys, maxKeyBytes } from '../key.ts';
import type { ObjectInfo } from '../object.ts';
import { assertAbout, assertRejects, assertSameBytes, isRefused } from './harness.ts';
import type { Suite } from './harness.ts';
import { hardKeys } from './keys.ts';

export function objects({ options, describe, test }: Suite): void {
  describe('objects', () => {
    for (const size of [0, 1, 65_536, 5 * 1024 * 1024 + 1]) {
      test(`gives back ${size} bytes as they were written`, async (t) => {
        const at = t.at('object');
        const data = randomBytes(size);
        const written = await t.put(at, data);
        assert.equal(written.size, size);
        const { info, range, body } = await t.open(at);
        body.destroy();
        assert.equal(info.size, size);
        assert.equal(range, undefined);
        assertSameBytes(await t.read(at), data);
      });
    }

    test('gives back an object of more than one part under the longest key', async (t) => {
      const key = t.at('longest/').key.padEnd(maxKeyBytes - 1, 'd/') + 'x';
      if (options.refusedKeys?.(key) === true) return assertRejects(t.put({ bucket: t.bucket, key }, 'x'), 'invalid_key');
      const data = randomBytes(8 * 1024 * 1024 + 1);
      assert.equal((await t.put({ bucket: t.bucket, key }, data)).size, data.length);
      assertSameBytes(await t.read({ bucket: t.bucket, key }), data);
    });

    test('tells the same of an object on put, head, get and list', async (t) => {
      const at = t.at('told');
      const data = 'the quick brown fox';
      const started = Date.now();
      const metadata = { author: 'Ada Lovelace', 'x-number_1.0': '42', empty: '' };
      const sha256 = createHash('sha256').update(data).digest('hex');
      const put = await t.put(at, data, { contentType: 'text/plain; charset=utf-8', metadata, storageClass: 'STANDARD' });
      const head = await t.head(at);
      const get = await t.open(at);
      get.body.destroy();
      for (const info of [put, head, get.info]) {
        assert.equal(info.bucket, at.bucket);
        assert.equal(info.key, at.key);
        assert.equal(info.size, data.length);
        assert.equal(info.contentType, 'text/plain; charset=utf-8');
        assert.equal(info.storageClass, 'STANDARD');
        assert.deepEqual({ ...info.metadata }, metadata);
        assert.match(info.etag, /^[^"\s]+$/, 'an ETag is bare');
        assert.equal(info.etag, put.etag);
        assert.equal(info.sha256 ?? sha256, sha256, 'a sha256 that is told is that of the bytes');
        assertAbout(info.lastModified, started);
      }
      const [summary, ...others] = (await t.backend.list(t.bucket, { prefix: at.key }, noContext)).objects;
      assert.deepEqual(others, []);
      assert.ok(summary !== undefined);
      assert.deepEqual([summary.key, summary.size, summary.etag, summary.storageClass], [at.key, data.length, put.etag, 'STANDARD']);
      assertAbout(summary.lastModified, started);
      assert.equal(Math.floor(summary.lastModified.getTime() / 1000), Math.floor(head.lastModified.getTime() / 1000));
    });

    test('replaces an object whole: bytes, type, metadata', async (t) => {
      const at = t.at('replaced');
      const first = await t.put(at, 'a longer first version', { contentType: 'text/plain', metadata: { one: '1', two: '2' } });
      const second = await t.put(at, 'second', { contentType: 'text/csv', metadata: { three: '3' } });
      assert.notEqual(second.etag, first.etag);
      await t.assertHolds(at, 'second');
      const info = await t.head(at);
      assert.equal(info.contentType, 'text/csv');
      assert.deepEqual({ ...info.metadata }, { three: '3' });
      const third = await t.put(at, 'third');
      for (const { metadata } of [third, await t.head(at)]) {
        assert.equal(typeof metadata, 'object', 'no metadata is an empty object');
        assert.deepEqual({ ...metadata }, {});
      }
      const { objects: listed } = await t.backend.list(t.bucket, { prefix: at.key }, noContext);
      assert.deepEqual(
        listed.map(({ etag, size }) => [etag, size]),
        [[third.etag, 5]],
      );
    });

    test('has the same ETag for the same bytes only', async (t) => {
      const one = await t.put(t.at('1'), 'same');
      const two = await t.put(t.at('2'), 'same');
      const other = await t.put(t.at('3'), 'diff');
      assert.equal(one.etag, two.etag);
      assert.notEqual(one.etag, other.etag);
    });

    test('takes a view of a larger buffer, and does not keep it', async (t) => {
      const at = t.at('view');
      const memory = new Uint8Array(1000).fill(1);
      const view = memory.subarray(100, 200).fill(2);
      await t.putBody(at, { kind: 'buffer', data: view });
      memory.fill(3);
      const read = await t.read(at);
      assertSameBytes(read, new Uint8Array(100).fill(2));
      read.fill(4);
      assertSameBytes(await t.read(at), new Uint8Array(100).fill(2));
    });

    test('refuses a storage class that does not exist', async (t) => {
      const at = t.at('class');
      for (const storageClass of ['NO_SUCH_CLASS', 'STANDARD ', 'STANDÄRD'])
        await assertRejects(t.put(at, 'x', { storageClass }), 'invalid_argument', storageClass);
      await t.assertAbsent(at);
    });

    test('keeps a storage class, or refuses it', async (t) => {
      const at = t.at('class');
      for (const storageClass of ['REDUCED_REDUNDANCY', 'STANDARD_IA']) {
        const written = t.put(at, 'x', { storageClass });
        if (await isRefused(written)) continue;
        for (const info of [await written, await t.head(at)]) assert.equal(info.storageClass, storageClass);
        const { objects: listed } = await t.backend.list(t.bucket, { prefix: at.key }, noContext);
        assert.deepEqual(
          listed.map((object) => object.storageClass),
          [storageClass],
        );
      }
    });

    test('verifies declared checksums', async (t) => {
      const at = t.at('sums');
      const data = 'checked';
      const md5 = createHash('md5').update(data).digest('hex');
      const sha256 = createHash('sha256').update(data).digest('hex');
      await assertRejects(t.put(at, data, { md5: createHash('md5').digest('hex') }), 'checksum_mismatch');
      await assertRejects(t.put(at, data, { sha256: createHash('sha256').digest('hex') }), 'checksum_mismatch');
      await assertRejects(t.put(at, data, { md5, sha256: '0'.repeat(64) }), 'checksum_mismatch');
      await t.assertAbsent(at);
      await t.put(at, data, { md5, sha256 });
      await t.assertHolds(at, data);
      await assertRejects(t.put(at, 'other', { md5 }), 'checksum_mismatch');
      await assertRejects(t.put(at, 'other', { sha256 }), 'checksum_mismatch');
      await t.assertHolds(at, data);
    });

    hardKeysHold({ options, describe, test });
  });
}

/** Stores all of them side by side: none is lost, changed or replaced by another. */
function hardKeysHold({ options, test }: Suite): void {
  test('holds any key beside any other', async (t) => {
    const { bucket, release } = await t.otherBucket();
    try {
      const before = await t.backend.list(bucket, {}, noContext);
      assert.deepEqual(before.objects, [], 'the other bucket is empty at first');
      const refused = hardKeys.filter((key) => options.refusedKeys?.(key) === true);
      const kept = hardKeys.filter((key) => !refused.includes(key));
      for (const key of refused) await assertRejects(t.put({ bucket, key }, key), 'invalid_key');
      const written = new Map<string, ObjectInfo>();
      await Promise.all(kept.map(async (key) => written.set(key, await t.put({ bucket, key }, `at ${key}`))));

      const hidden = (key: string): boolean => options.hidesKeysBelowObjects === true && kept.some((other) => key.startsWith(`${other}/`));
      const { objects: listed } = await t.backend.list(bucket, {}, noContext);
      assert.deepEqual(
        listed.map((object) => object.key),
        kept.filter((key) => !hidden(key)).sort(compareKeys),
      );
      for (const key of kept) {
        assertSameBytes(await t.read({ bucket, key }), `at ${key}`);
        const info = await t.head({ bucket, key });
        assert.deepEqual([info.key, info.etag], [key, written.get(key)?.etag]);
        const { objects: found } = await t.backend.list(bucket, { prefix: key }, noContext);
        assert.ok(hidden(key) || found.some((object) => object.key === key), `${key} is listed under itself as a prefix`);
      }
      for (const [index, key] of kept.entries()) {
        await t.backend.delete({ bucket, key }, noContext);
        await assertRejects(t.head({ bucket, key }), 'file_not_found');
        const next = kept[index + 1];
        if (next !== undefined) assertSameBytes(await t.read({ bucket, key: next }), `at ${next}`);
      }
      assert.deepEqual((await t.backend.list(bucket, {}, noContext)).objects, []);
    } finally {
      await release();
    }
  });
}
