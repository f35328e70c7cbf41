import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import { readAll } from '../body/body.ts';
import { noContext } from '../context.ts';
import { isStorageError } from '../errors.ts';
import type { ByteRange } from '../object.ts';
import { assertRejects, assertSameBytes } from './harness.ts';
import type { Suite } from './harness.ts';

const size = 300_000;

const within: readonly [string, ByteRange, number, number][] = [
  ['the first byte', { start: 0, end: 0 }, 0, 0],
  ['the last byte', { start: size - 1, end: size - 1 }, size - 1, size - 1],
  ['bytes in the middle', { start: 65_530, end: 131_080 }, 65_530, 131_080],
  ['everything', { start: 0, end: size - 1 }, 0, size - 1],
  ['an open end', { start: 1000 }, 1000, size - 1],
  ['an open end from the start', { start: 0 }, 0, size - 1],
  ['an end beyond the object', { start: size - 10, end: size + 10 }, size - 10, size - 1],
  ['an end far beyond the object', { start: 5, end: Number.MAX_SAFE_INTEGER }, 5, size - 1],
  ['a suffix', { suffix: 10 }, size - 10, size - 1],
  ['a suffix longer than the object', { suffix: size + 1 }, 0, size - 1],
  ['a suffix far longer than the object', { suffix: Number.MAX_SAFE_INTEGER }, 0, size - 1],
];

const beyond: readonly [string, ByteRange, number][] = [
  ['a start at the end', { start: 10 }, 10],
  ['a start beyond the end', { start: 11, end: 20 }, 10],
  ['a start far beyond the end', { start: Number.MAX_SAFE_INTEGER }, 10],
  ['an empty suffix', { suffix: 0 }, 10],
  ['a start in an empty object', { start: 0 }, 0],
  ['a suffix of an empty object', { suffix: 5 }, 0],
];

export function ranges({ describe, test }: Suite): void {
  describe('ranges', () => {
    test('gives just the bytes of a range', async (t) => {
      const at = t.at('object');
      const data = randomBytes(size);
      await t.put(at, data, { contentType: 'image/png' });
      for (const [name, range, start, end] of within) {
        const result = await t.open(at, { range });
        assert.deepEqual(result.range, { start, end }, name);
        assert.equal(result.info.size, size, 'the info is of the whole object');
        assert.equal(result.info.contentType, 'image/png');
        assertSameBytes(await readAll(result.body), data.subarray(start, end + 1));
      }
    });

    test('refuses a range outside the object, and says how large the object is', async (t) => {
      await t.put(t.at('10'), Buffer.alloc(10));
      await t.put(t.at('0'), '');
      for (const [name, range, objectSize] of beyond) {
        const at = t.at(String(objectSize));
        await assertRejects(t.open(at, { range }), 'range_not_satisfiable');
        const error = await t.backend.get(at, { range }, noContext).catch((cause: unknown) => cause);
        assert.equal(isStorageError(error) ? error.objectSize : undefined, objectSize, name);
      }
    });

    test('knows whether the object is there before it looks at the range', async (t) => {
      await assertRejects(t.open(t.at('none'), { range: { start: 5 } }), 'file_not_found');
    });
  });
}
