import assert from 'node:assert/strict';

import { noContext } from '../context.ts';
import { isStorageError } from '../errors.ts';
import { compareKeys } from '../key.ts';
import type { ListOptions, ListPage } from '../object.ts';
import type { Subject, Suite } from './harness.ts';

export function listing(suite: Suite): void {
  suite.describe('listing', () => {
    order(suite);
    prefixes(suite);
    delimiters(suite);
    pagesOfAnyDelimiter(suite);
    pages(suite);
    manyObjects(suite);
  });
}

async function fill(t: Subject, ...names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => t.put(t.at(name), name)));
}

function refusing({ options }: Suite): (name: string) => boolean {
  return (name) => options.refusedKeys?.(`t1/${name}`) !== true;
}

function order(suite: Suite): void {
  suite.test('comes in the order of the UTF-8 bytes of the keys', async (t) => {
    const names = [
      'B',
      'a',
      'Z',
      'b',
      'ab',
      'a-',
      'a/',
      'a0',
      'é',
      'z',
      '\ud7ff',
      '\ue000',
      '\uffff',
      '\u{10000}',
      '\u{10ffff}',
      '~',
      ' ',
      '日本',
    ];
    const kept = names.filter(refusing(suite));
    await fill(t, ...kept);
    assert.deepEqual(await t.keys(), kept.sort(compareKeys));
    assert.deepEqual(await t.keys({ maxKeys: 1 }), kept.sort(compareKeys));
  });

  suite.test('is empty where there is nothing', async (t) => {
    const page = await t.backend.list(t.bucket, { prefix: t.prefix }, noContext);
    assert.deepEqual([page.objects, page.commonPrefixes, page.isTruncated, page.nextContinuationToken], [[], [], false, undefined]);
    assert.deepEqual((await t.backend.list(t.bucket, { prefix: t.prefix, delimiter: '/' }, noContext)).commonPrefixes, []);
  });
}

function prefixes(suite: Suite): void {
  suite.test('takes a prefix literally', async (t) => {
    const names = ['a%b', 'a_b', 'axb', 'a*b', 'a?b', 'a[b', 'A%b', 'a', 'aa', 'b', "a'b", 'a\\b', 'a.b'].filter(refusing(suite));
    await fill(t, ...names);
    for (const name of names) {
      assert.deepEqual(await t.keys({ prefix: name }), names.filter((other) => other.startsWith(name)).sort(compareKeys), name);
    }
    assert.deepEqual(await t.keys({ prefix: 'c' }), []);
    assert.deepEqual(await t.keys({ prefix: 'aa/' }), []);
    assert.deepEqual(await t.keys({ prefix: '/' }), []);
  });

  suite.test('takes dots at the end of a prefix for the beginning of a name', async (t) => {
    const names = ['-', '.', '..', '...', '.a', '..b', '.c/d', '.c/e', '.c-', '/', '0', 'x/.a', 'x/..b', 'x/.c/d', 'x/-', 'x/y'];
    const kept = names.filter((name) => !/^\/|(?:^|\/)\.{1,2}$/.test(name)).sort(compareKeys);
    await fill(t, ...kept);
    for (const prefix of ['.', '..', '...', 'x/.', 'x/..', '.c/.', '0/.', './.', '../..', 'x/../.']) {
      const below = kept.filter((name) => name.startsWith(prefix));
      const rolledUp = [...new Set(below.map((name) => name.replace(/(\.c\/).*/, '$1')))].sort(compareKeys);
      for (const maxKeys of [1, 2, 3, 1000]) {
        assert.deepEqual(await t.keys({ prefix, maxKeys }), below, `"${prefix}" in pages of ${maxKeys}`);
        const found = await t.keys({ prefix, delimiter: '/', maxKeys });
        assert.deepEqual(found.sort(compareKeys), rolledUp, `folders of "${prefix}" in pages of ${maxKeys}`);
      }
    }
  });

  suite.test('finds what sorts last below a prefix', async (t) => {
    const names = ['p', 'p\u{10ffff}', 'p\u{10ffff}\u{10ffff}', 'p\uffff', 'q', 'p/\u{10ffff}/x', '\u{10ffff}'].filter(refusing(suite));
    await fill(t, ...names);
    for (const prefix of ['', 'p', 'p\u{10ffff}', 'p/', '\u{10ffff}', 'p\uffff']) {
      const below = names.filter((name) => name.startsWith(prefix)).sort(compareKeys);
      assert.deepEqual(
        await t.keys({ prefix }),
        suite.options.hidesKeysBelowObjects === true ? below.filter((name) => !name.startsWith('p/')) : below,
      );
    }
  });
}

function delimiters(suite: Suite): void {
  suite.test('rolls keys up to the delimiter into common prefixes', async (t) => {
    await fill(t, 'a.txt', 'b/1', 'b/2', 'b/c/3', 'b.txt', 'd/4', 'e');
    const root = await t.backend.list(t.bucket, { prefix: t.prefix, delimiter: '/' }, noContext);
    assert.deepEqual(namesOf(t, root), { objects: ['a.txt', 'b.txt', 'e'], commonPrefixes: ['b/', 'd/'] });
    const below = await t.backend.list(t.bucket, { prefix: `${t.prefix}b/`, delimiter: '/' }, noContext);
    assert.deepEqual(namesOf(t, below), { objects: ['b/1', 'b/2'], commonPrefixes: ['b/c/'] });
    const partial = await t.backend.list(t.bucket, { prefix: `${t.prefix}b`, delimiter: '/' }, noContext);
    assert.deepEqual(namesOf(t, partial), { objects: ['b.txt'], commonPrefixes: ['b/'] });
    const all = await t.backend.list(t.bucket, { prefix: t.prefix }, noContext);
    assert.equal(all.objects.length, 7);
    assert.deepEqual(all.commonPrefixes, []);
  });

  suite.test('takes delimiters of several characters and of any script', async (t) => {
    await fill(t, 'a::b', 'a::c', 'a:b', 'd→e', 'd→f', 'g');
    const double = await t.backend.list(t.bucket, { prefix: t.prefix, delimiter: '::' }, noContext);
    assert.deepEqual(namesOf(t, double), { objects: ['a:b', 'd→e', 'd→f', 'g'], commonPrefixes: ['a::'] });
    const arrow = await t.backend.list(t.bucket, { prefix: t.prefix, delimiter: '→' }, noContext);
    assert.deepEqual(namesOf(t, arrow), { objects: ['a::b', 'a::c', 'a:b', 'g'], commonPrefixes: ['d→'] });
  });

  suite.test('tells an object that ends in the delimiter from a common prefix', async (t) => {
    const names = ['dir/', 'dir/x', 'dir//', 'dir//y'].filter(refusing(suite));
    await fill(t, ...names);
    const root = await t.backend.list(t.bucket, { prefix: t.prefix, delimiter: '/' }, noContext);
    assert.deepEqual(namesOf(t, root), { objects: [], commonPrefixes: ['dir/'] });
    const below = await t.backend.list(t.bucket, { prefix: `${t.prefix}dir/`, delimiter: '/' }, noContext);
    assert.deepEqual(namesOf(t, below), {
      objects: ['dir/', 'dir/x'].filter((name) => names.includes(name)),
      commonPrefixes: names.includes('dir//') ? ['dir//'] : [],
    });
  });

  suite.test('pages through objects and common prefixes alike', async (t) => {
    await fill(t, 'a', 'b/1', 'b/2', 'b/3', 'c', 'd/1', 'e/1', 'e/2', 'f');
    const expected = ['a', 'b/', 'c', 'd/', 'e/', 'f'];
    for (const maxKeys of [1, 2, 3, 5, 6, 1000]) {
      const found = await t.keys({ delimiter: '/', maxKeys });
      assert.deepEqual(found.sort(compareKeys), expected, `in pages of ${maxKeys}`);
    }
    const first = await t.backend.list(t.bucket, { prefix: t.prefix, delimiter: '/', maxKeys: 2 }, noContext);
    assert.deepEqual(namesOf(t, first), { objects: ['a'], commonPrefixes: ['b/'] });
    assert.equal(first.isTruncated, true);
  });
}

function pagesOfAnyDelimiter(suite: Suite): void {
  const names = ['2024-01-a', '2024-01-b', '2024-02-a', '2024-02-b', '2025-', 'a/b-c', 'x-1', 'x-2', 'y', 'é-1', 'é-2', 'z日-1'];
  const lists: readonly (readonly [string, readonly string[]])[] = [
    ['-', ['2024-', '2025-', 'a/b-', 'x-', 'y', 'z日-', 'é-']],
    ['-0', ['2024-0', '2025-', 'a/b-c', 'x-1', 'x-2', 'y', 'z日-1', 'é-1', 'é-2']],
    ['4-01', ['2024-01', '2024-02-a', '2024-02-b', '2025-', 'a/b-c', 'x-1', 'x-2', 'y', 'z日-1', 'é-1', 'é-2']],
    ['日', ['2024-01-a', '2024-01-b', '2024-02-a', '2024-02-b', '2025-', 'a/b-c', 'x-1', 'x-2', 'y', 'z日', 'é-1', 'é-2']],
  ];
  suite.test('pages through the common prefixes of any delimiter, and tells of each once', async (t) => {
    await fill(t, ...names);
    for (const [delimiter, expected] of lists) {
      for (const maxKeys of [1, 2, 3, 1000]) {
        assert.deepEqual((await t.keys({ delimiter, maxKeys })).sort(compareKeys), expected, `${delimiter} in pages of ${maxKeys}`);
      }
    }
  });

  suite.test('goes on within a folder that has many neighbours, by any delimiter', async (t) => {
    const neighbours = Array.from({ length: 9 }, (_, index) => `a+${index}`);
    await fill(t, ...neighbours, 'a/b-c/d', 'a/d', 'a/e-f', 'b', 'c-d');
    const expected = [...neighbours, 'a/b-', 'a/d', 'a/e-', 'b', 'c-'];
    for (const maxKeys of [1, 2, 3, 5])
      assert.deepEqual((await t.keys({ delimiter: '-', maxKeys })).sort(compareKeys), expected, `in pages of ${maxKeys}`);
  });
}

function pages(suite: Suite): void {
  suite.test('finds no delimiter that begins within the prefix, in pages of any size', async (t) => {
    const names = ['b/', 'b/1', 'b/c/', 'b/c/3', 'b/c/4', 'b/d'].filter(refusing(suite));
    await fill(t, ...names);
    for (const [prefix, delimiter] of [
      ['b/', '/c/'],
      ['b/c', 'c/'],
    ] as const) {
      const expected = names.filter((name) => name.startsWith(prefix));
      for (const maxKeys of [1, 2, 3, 1000]) {
        assert.deepEqual(await t.keys({ prefix, delimiter, maxKeys }), expected, `${prefix} by ${delimiter} in pages of ${maxKeys}`);
      }
    }
  });

  suite.test('is truncated only when there is more', async (t) => {
    await fill(t, '1', '2', '3');
    for (const [maxKeys, truncated] of [
      [1, true],
      [2, true],
      [3, false],
      [4, false],
    ] as const) {
      const page = await t.backend.list(t.bucket, { prefix: t.prefix, maxKeys }, noContext);
      assert.deepEqual([page.objects.length, page.isTruncated], [Math.min(3, maxKeys), truncated]);
      assert.equal(page.nextContinuationToken !== undefined, truncated);
    }
  });

  suite.test('goes on in pages of one, also where an object is called like the prefix, or like a folder', async (t) => {
    const isHeld = refusing(suite);
    const names = ['a', 'a-b', 'b/', 'b/1', 'c', 'd/1', 'd/2', 'e'].filter(isHeld);
    await fill(t, ...names);
    for (const [prefix, delimiter, expected] of [
      ['', '', names],
      ['a', '', ['a', 'a-b']],
      ['b/', '', ['b/', 'b/1']],
      ['c', '', ['c']],
      ['', '/', ['a', 'a-b', 'b/', 'c', 'd/', 'e']],
      ['', '-', ['a', 'a-', 'b/', 'b/1', 'c', 'd/1', 'd/2', 'e']],
      ['b', '/', ['b/']],
    ] as const) {
      const told = expected.filter((name) => isHeld(name) || delimiter === '/'); // under a delimiter, it is a common prefix all the same
      assert.deepEqual(await t.keys({ prefix, delimiter, maxKeys: 1 }), told, `of "${prefix}" by "${delimiter}"`);
    }
  });

  suite.test('tells early where the next page begins, if at all, and nothing of a last page', async (t) => {
    await fill(t, 'a', 'b', 'c');
    for (const maxKeys of [2, 3]) {
      const told: string[] = [];
      const options: ListOptions = { prefix: t.prefix, maxKeys, onNextToken: (token) => void told.push(token) };
      const { nextContinuationToken } = await t.backend.list(t.bucket, options, noContext);
      for (const token of told) assert.equal(token, nextContinuationToken);
    }
  });

  suite.test('goes on where it was when objects come and go between pages', async (t) => {
    await fill(t, 'a', 'b', 'c', 'd', 'e');
    const page = (token?: string): Promise<ListPage> => {
      const options: ListOptions = { prefix: t.prefix, maxKeys: 2, ...(token !== undefined && { continuationToken: token }) };
      return t.backend.list(t.bucket, options, noContext);
    };
    const first = await page();
    assert.deepEqual(namesOf(t, first).objects, ['a', 'b']);
    for (const name of ['a', 'b', 'c']) await t.backend.delete(t.at(name), noContext);
    await fill(t, 'aa', 'cc');
    const second = await page(first.nextContinuationToken);
    assert.deepEqual(namesOf(t, second).objects, ['cc', 'd']);
    const third = await page(second.nextContinuationToken);
    assert.deepEqual(namesOf(t, third).objects, ['e']);
    assert.equal(third.isTruncated, false);
    assert.deepEqual(namesOf(t, await page(first.nextContinuationToken)).objects, ['cc', 'd'], 'a token can be used again');
  });

  suite.test('answers a continuation token that it never gave with an error or a page', async (t) => {
    await fill(t, 'a');
    for (const continuationToken of ['no token', '%%%', 'e30', '../..', "' OR 1=1", 'x'.repeat(2000)]) {
      const answer = await t.backend.list(t.bucket, { prefix: t.prefix, continuationToken }, noContext).catch((error: unknown) => error);
      if (answer instanceof Error)
        assert.equal(isStorageError(answer) ? answer.code : String(answer), 'invalid_argument', continuationToken);
    }
  });
}

/** Uses its own bucket, whose forced deletion then covers more than one page. */
function manyObjects(suite: Suite): void {
  const count = suite.options.bigListing ?? 1100;
  suite.test(`lists ${count} objects in pages, whole and in order`, async (t) => {
    const { bucket, release } = await t.otherBucket();
    try {
      const keys = Array.from({ length: count }, (_, index) => `many/${index % 10}/${index}`);
      for (let start = 0; start < count; start += 50) {
        await Promise.all(keys.slice(start, start + 50).map((key) => t.put({ bucket, key }, key)));
      }
      keys.sort(compareKeys);
      const first = await t.backend.list(bucket, {}, noContext);
      assert.deepEqual(
        first.objects.map((object) => object.key),
        keys.slice(0, 1000),
      );
      assert.equal(first.isTruncated, count > 1000);
      const found: string[] = [];
      let token: string | undefined;
      do {
        const page: ListPage = await t.backend.list(
          bucket,
          { maxKeys: 300, ...(token !== undefined && { continuationToken: token }) },
          noContext,
        );
        assert.ok(page.objects.length <= 300);
        found.push(...page.objects.map((object) => object.key));
        token = page.nextContinuationToken;
      } while (token !== undefined);
      assert.deepEqual(found, keys);
      const rolled = await t.backend.list(bucket, { prefix: 'many/', delimiter: '/' }, noContext);
      assert.deepEqual([rolled.objects, rolled.commonPrefixes.length, rolled.isTruncated], [[], 10, false]);
      const { batchDelete } = t.backend;
      if (batchDelete !== undefined) {
        const result = await batchDelete.deleteMany(bucket, keys.slice(0, 1000), noContext);
        assert.deepEqual([result.deleted.length, result.errors], [Math.min(count, 1000), []]);
        assert.equal((await t.backend.list(bucket, {}, noContext)).objects.length, Math.max(0, count - 1000));
      }
    } finally {
      await release();
    }
  });
}

function namesOf(t: Subject, page: ListPage): { readonly objects: string[]; readonly commonPrefixes: string[] } {
  const name = (key: string): string => key.slice(t.prefix.length);
  return { objects: page.objects.map((object) => name(object.key)), commonPrefixes: page.commonPrefixes.map(name) };
}
