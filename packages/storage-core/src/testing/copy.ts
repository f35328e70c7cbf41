import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import { noContext } from '../context.ts';
import type { CopyOptions, ObjectAddress, ObjectInfo } from '../object.ts';
import { StorageService } from '../storage-service.ts';
import { assertAbout, assertRejects, isRefused, missingBucket } from './harness.ts';
import type { Subject, Suite } from './harness.ts';

const described = { contentType: 'text/markdown; charset=utf-8', metadata: { title: 'Notes', number: '7' } };

function copied(t: Subject, from: ObjectAddress, to: ObjectAddress, options: CopyOptions = {}): Promise<ObjectInfo> {
  return t.backend.copy(from, to, options, noContext);
}

async function assertDescribed(t: Subject, at: ObjectAddress): Promise<void> {
  const info = await t.head(at);
  assert.equal(info.contentType, described.contentType);
  assert.deepEqual({ ...info.metadata }, described.metadata);
}

export function copy(suite: Suite): void {
  suite.describe('copy and move', () => {
    copies(suite);
    conditionalCopies(suite);
    moves(suite);
  });
}

function copies({ test }: Suite): void {
  for (const size of [0, 1, 5 * 1024 * 1024 + 1]) {
    test(`copies ${size} bytes with all that belongs to them`, async (t) => {
      const data = randomBytes(size);
      await t.put(t.at('from'), data, described);
      const info = await copied(t, t.at('from'), t.at('to'));
      assert.deepEqual([info.bucket, info.key, info.size], [t.bucket, t.at('to').key, size]);
      const head = await t.head(t.at('to'));
      assert.deepEqual([info.etag, info.contentType, { ...info.metadata }], [head.etag, head.contentType, { ...head.metadata }]);
      assert.equal(info.storageClass, head.storageClass);
      for (const { lastModified } of [info, head]) assertAbout(lastModified, Date.now());
      for (const name of ['from', 'to']) {
        await t.assertHolds(t.at(name), data);
        await assertDescribed(t, t.at(name));
      }
    });
  }

  test('makes an object of its own, that no change of the other touches', async (t) => {
    await t.put(t.at('a'), 'first');
    await copied(t, t.at('a'), t.at('b'));
    await t.put(t.at('a'), 'second');
    await t.assertHolds(t.at('b'), 'first');
    await copied(t, t.at('a'), t.at('c'));
    await t.put(t.at('c'), 'third');
    await t.assertHolds(t.at('a'), 'second');
    await copied(t, t.at('a'), t.at('d'));
    await t.backend.delete(t.at('a'), noContext);
    await t.assertHolds(t.at('d'), 'second');
  });

  test('copies an object over itself, and nothing is lost', async (t) => {
    await t.put(t.at('self'), 'my own bytes', described);
    const info = await copied(t, t.at('self'), t.at('self'));
    assert.equal(info.size, 12);
    await t.assertHolds(t.at('self'), 'my own bytes');
    await assertDescribed(t, t.at('self'));
    await copied(t, t.at('self'), t.at('self'), { storageClass: 'STANDARD' });
    await t.assertHolds(t.at('self'), 'my own bytes');
    await assertDescribed(t, t.at('self'));
  });

  test('replaces what was at the destination', async (t) => {
    await t.put(t.at('from'), 'new', described);
    await t.put(t.at('to'), 'a longer old version', { contentType: 'image/gif', metadata: { old: 'yes' } });
    await copied(t, t.at('from'), t.at('to'));
    await t.assertHolds(t.at('to'), 'new');
    await assertDescribed(t, t.at('to'));
  });

  test('copies between buckets', async (t) => {
    const { bucket, release } = await t.otherBucket();
    try {
      await t.put(t.at('same'), 'across', described);
      const info = await copied(t, t.at('same'), { bucket, key: t.at('same').key });
      assert.equal(info.bucket, bucket);
      await t.assertHolds({ bucket, key: t.at('same').key }, 'across');
      await assertDescribed(t, { bucket, key: t.at('same').key });
      await t.assertHolds(t.at('same'), 'across');
      await t.backend.delete({ bucket, key: t.at('same').key }, noContext);
    } finally {
      await release();
    }
  });

  test('copies from and to keys that need encoding', async (t) => {
    const keys = ['a+b c', 'é→日本', '50%', 'a?b#c&d', "it's"].map((name) => t.at(name));
    for (const [index, key] of keys.entries()) {
      await t.put(key, `source ${index}`);
      await copied(t, key, t.at(`copy of ${index}%+?`));
      await t.assertHolds(t.at(`copy of ${index}%+?`), `source ${index}`);
    }
  });

  test('rejects a source that is not there, and leaves the destination alone', async (t) => {
    await t.put(t.at('to'), 'still here');
    await assertRejects(copied(t, t.at('none'), t.at('to')), 'file_not_found');
    await assertRejects(copied(t, t.at('none'), t.at('none')), 'file_not_found');
    await t.assertHolds(t.at('to'), 'still here');
    await t.assertAbsent(t.at('none'));
  });

  test('says of a source that is not there so, whatever is wrong with the destination', async (t) => {
    const nowhere = { bucket: missingBucket, key: t.at('to').key };
    await assertRejects(copied(t, t.at('none'), nowhere), 'file_not_found');
    await assertRejects(copied(t, t.at('none'), nowhere, { storageClass: 'NO_SUCH_CLASS' }), 'file_not_found');
    await t.put(t.at('from'), 'x');
    await assertRejects(copied(t, t.at('from'), nowhere), 'no_such_bucket');
  });

  test('refuses a storage class that does not exist', async (t) => {
    await t.put(t.at('from'), 'x');
    for (const storageClass of ['NO_SUCH_CLASS', 'STANDARD ', 'STANDÄRD'])
      await assertRejects(copied(t, t.at('from'), t.at('to'), { storageClass }), 'invalid_argument', storageClass);
    await t.assertAbsent(t.at('to'));
  });

  test('keeps the storage class unless another is asked for, which it takes or refuses', async (t) => {
    for (const storageClass of ['REDUCED_REDUNDANCY', 'STANDARD_IA']) {
      const written = t.put(t.at('from'), 'x', { storageClass });
      if (await isRefused(written)) continue;
      assert.equal((await copied(t, t.at('from'), t.at('to'))).storageClass, storageClass);
      assert.equal((await t.head(t.at('to'))).storageClass, storageClass);
      assert.equal((await copied(t, t.at('from'), t.at('to'), { storageClass: 'STANDARD' })).storageClass, 'STANDARD');
      assert.equal((await t.head(t.at('to'))).storageClass, 'STANDARD');
      assert.equal((await copied(t, t.at('to'), t.at('to'), { storageClass })).storageClass, storageClass);
      assert.equal((await t.head(t.at('to'))).storageClass, storageClass);
    }
  });
}

function conditionalCopies({ options, test }: Suite): void {
  test('If-Match copies only that version of the source', async (t) => {
    const { etag } = await t.put(t.at('from'), 'first');
    await copied(t, t.at('from'), t.at('to'), { ifMatch: etag });
    await assertRejects(copied(t, t.at('from'), t.at('to'), { ifMatch: '*' }), 'precondition_failed');
    await t.put(t.at('from'), 'second');
    await assertRejects(copied(t, t.at('from'), t.at('to'), { ifMatch: etag }), 'precondition_failed');
    await assertRejects(copied(t, t.at('from'), t.at('fresh'), { ifMatch: etag }), 'precondition_failed');
    await t.assertHolds(t.at('to'), 'first');
    await t.assertAbsent(t.at('fresh'));
  });

  test('asks whether the source, as it is, is to be copied', async (t) => {
    const { etag, size } = await t.put(t.at('from'), 'first', described);
    const asked: ObjectInfo[] = [];
    const onlyIf = (source: ObjectInfo): boolean => asked.push(source) > 0 && source.size === size;
    await copied(t, t.at('from'), t.at('to'), { onlyIf });
    assert.ok(asked.length > 0);
    for (const { contentType, metadata, ...seen } of asked) {
      assert.deepEqual({ etag: seen.etag, size: seen.size, contentType, metadata: { ...metadata } }, { etag, size, ...described });
    }
    await t.assertHolds(t.at('to'), 'first');
    await assertDescribed(t, t.at('to'));
    await t.put(t.at('from'), 'second');
    for (const to of ['to', 'fresh', 'from']) await assertRejects(copied(t, t.at('from'), t.at(to), { onlyIf }), 'precondition_failed');
    await assertRejects(
      copied(t, t.at('none'), t.at('fresh'), { onlyIf: () => assert.fail('there is nothing to ask about') }),
      'file_not_found',
    );
    await t.assertHolds(t.at('to'), 'first');
    await t.assertHolds(t.at('from'), 'second');
    await t.assertAbsent(t.at('fresh'));
  });

  test('copies that version of the source which it asked about', async (t) => {
    const { etag: first } = await t.put(t.at('from'), 'first');
    let writing: Promise<ObjectInfo> | undefined;
    let asked = '';
    const onlyIf = ({ etag }: ObjectInfo): boolean => {
      asked = etag;
      writing ??= t.put(t.at('from'), 'second');
      return true;
    };
    const [copying] = await Promise.allSettled([copied(t, t.at('from'), t.at('to'), { onlyIf })]);
    await writing;
    if (copying.status === 'fulfilled') return t.assertHolds(t.at('to'), asked === first ? 'first' : 'second');
    await assertRejects(Promise.reject(copying.reason as Error), 'precondition_failed');
    await t.assertAbsent(t.at('to'));
  });

  test('If-None-Match: * copies only to where there is nothing', async (t) => {
    await t.put(t.at('from'), 'source');
    await t.put(t.at('to'), 'taken');
    await assertRejects(copied(t, t.at('from'), t.at('to'), { ifNoneMatch: '*' }), 'precondition_failed');
    await assertRejects(copied(t, t.at('from'), t.at('from'), { ifNoneMatch: '*' }), 'precondition_failed');
    await t.assertHolds(t.at('to'), 'taken');
    await copied(t, t.at('from'), t.at('free'), { ifNoneMatch: '*' });
    await t.assertHolds(t.at('free'), 'source');
  });

  if (options.atomicConditionalCopy === false) return;
  test('If-None-Match: * lets one of many copies win', async (t) => {
    const names = Array.from({ length: 16 }, (_, index) => String(index));
    await Promise.all(names.map((name) => t.put(t.at(name), `copy of ${name}`)));
    const results = await Promise.allSettled(names.map((name) => copied(t, t.at(name), t.at('to'), { ifNoneMatch: '*' })));
    const winners = names.filter((_, index) => results[index]?.status === 'fulfilled');
    assert.equal(winners.length, 1);
    await t.assertHolds(t.at('to'), `copy of ${winners[0] ?? ''}`);
  });
}

function moves({ test }: Suite): void {
  test('moves an object: there it is, here it is gone', async (t) => {
    const service = new StorageService({ backend: t.backend, defaultBucket: t.bucket });
    await t.put(t.at('from'), 'moved', described);
    const info = await service.moveFile({ source: t.at('from').key, destination: t.at('to').key });
    assert.equal(info.key, t.at('to').key);
    await t.assertHolds(t.at('to'), 'moved');
    await assertDescribed(t, t.at('to'));
    await t.assertAbsent(t.at('from'));
  });

  test('moves an object onto itself without losing it', async (t) => {
    const service = new StorageService({ backend: t.backend, defaultBucket: t.bucket });
    await t.put(t.at('self'), 'stays', described);
    await service.moveFile({ source: t.at('self').key, destination: t.at('self') });
    await t.assertHolds(t.at('self'), 'stays');
    await assertDescribed(t, t.at('self'));
  });
}
