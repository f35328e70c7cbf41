import { noContext } from '../context.ts';
import { assertRejects } from './harness.ts';
import type { Suite } from './harness.ts';

export function errors({ options, describe, test }: Suite): void {
  describe('errors', () => {
    test('an object that is not there is file_not_found', async (t) => {
      for (const name of ['none', 'no/ne', 'é', 'n'.repeat(200)]) {
        await assertRejects(t.open(t.at(name)), 'file_not_found');
        await assertRejects(t.head(t.at(name)), 'file_not_found');
      }
    });

    test('neither a prefix of a key nor a key below one is an object', async (t) => {
      await t.put(t.at('a/b/c'), 'x');
      for (const name of ['a', 'a/', 'a/b', 'a/b/', 'a/b/c/', 'a/b/c/d', 'a/b/C']) {
        const isRefused = options.refusedKeys?.(t.at(name).key) === true;
        const code = isRefused ? 'invalid_key' : 'file_not_found';
        await assertRejects(t.head(t.at(name)), code);
        await assertRejects(t.open(t.at(name)), code);
        const deleting = t.backend.delete(t.at(name), noContext);
        await (isRefused ? assertRejects(deleting, code) : deleting);
      }
      await t.assertHolds(t.at('a/b/c'), 'x');
    });

    test('an error of one call does not outlast it', async (t) => {
      await assertRejects(t.open(t.at('object')), 'file_not_found');
      await t.put(t.at('object'), 'there');
      await t.assertHolds(t.at('object'), 'there');
    });
  });
}
