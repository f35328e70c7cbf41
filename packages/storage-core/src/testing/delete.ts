import assert from 'node:assert/strict';

import { requireAbility } from '../ability.ts';
import { noContext } from '../context.ts';
import { assertRejects, missingBucket } from './harness.ts';
import type { Suite } from './harness.ts';

export function deletes({ options, describe, test }: Suite): void {
  describe('delete', () => {
    test('removes an object and nothing else', async (t) => {
      await Promise.all(['a', 'ab', 'A', 'b'].map((name) => t.put(t.at(name), name)));
      await t.backend.delete(t.at('a'), noContext);
      await t.assertAbsent(t.at('a'));
      assert.deepEqual(await t.keys(), ['A', 'ab', 'b']);
    });

    test('succeeds where there is nothing', async (t) => {
      await t.backend.delete(t.at('none'), noContext);
      await t.put(t.at('once'), 'x');
      await t.backend.delete(t.at('once'), noContext);
      await t.backend.delete(t.at('once'), noContext);
      await t.assertAbsent(t.at('once'));
    });

    test('makes room for a new object of the same key', async (t) => {
      await t.put(t.at('key'), 'old', { metadata: { old: 'yes' }, contentType: 'image/gif' });
      await t.backend.delete(t.at('key'), noContext);
      await t.put(t.at('key'), 'new');
      await t.assertHolds(t.at('key'), 'new');
      assert.deepEqual({ ...(await t.head(t.at('key'))).metadata }, {});
    });

    if (options.abilities.batchDelete) batches({ options, describe, test });
  });
}

function batches({ test }: Suite): void {
  test('removes many keys at once; the ones that are not there count as deleted', async (t) => {
    const names = ['a', 'b c', 'é', '<&>"\'', '日本/x', '100%', 'a+b'];
    await Promise.all([...names, 'kept'].map((name) => t.put(t.at(name), name)));
    const keys = [...names, 'never was'].map((name) => t.at(name).key);
    const batchDelete = requireAbility(t.backend, 'batchDelete');
    const result = await batchDelete.deleteMany(t.bucket, keys, noContext);
    assert.deepEqual(result.errors, []);
    assert.deepEqual([...result.deleted].sort(), [...keys].sort());
    assert.deepEqual(await t.keys(), ['kept']);
    const again = await batchDelete.deleteMany(t.bucket, keys, noContext);
    assert.deepEqual(again.errors, []);
  });

  test('takes a key that is named twice for one, and no more than 1,000', async (t) => {
    await t.put(t.at('twice'), 'x');
    const { key } = t.at('twice');
    const batchDelete = requireAbility(t.backend, 'batchDelete');
    const result = await batchDelete.deleteMany(t.bucket, [key, t.at('never was').key, key], noContext);
    assert.deepEqual(result.errors, []);
    assert.deepEqual([...result.deleted].sort(), [t.at('never was').key, key].sort());
    await t.put(t.at('twice'), 'y');
    const tooMany = Array<string>(1001).fill(key);
    await assertRejects(batchDelete.deleteMany(t.bucket, tooMany, noContext), 'invalid_argument');
    await t.assertHolds(t.at('twice'), 'y');
  });

  test('rejects a batch for a bucket that is not there', async (t) => {
    await assertRejects(requireAbility(t.backend, 'batchDelete').deleteMany(missingBucket, ['x'], noContext), 'no_such_bucket');
  });
}
