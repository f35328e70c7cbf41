import assert from 'node:assert/strict';

import { noContext } from '../context.ts';
import type { Abilities, Suite } from './harness.ts';

const names = [
  'buckets',
  'acl',
  'presign',
  'batchDelete',
  'versioning',
  'lifecycle',
  'maintenance',
  'pull',
  'deleteIfMatch',
] as const satisfies (keyof Abilities)[];

export function abilities({ options, describe, test }: Suite): void {
  describe('abilities', () => {
    for (const name of names) {
      const stated = (options.abilities[name] ?? false) !== false;
      test(`${stated ? 'has' : 'does not have'} ${name}`, async ({ backend }) => {
        assert.equal(backend[name] !== undefined, stated);
      });
    }

    test('has a name and answers a check', async ({ backend }) => {
      assert.match(backend.name, /^[\w-]+$/);
      await backend.check(noContext);
    });
  });
}
