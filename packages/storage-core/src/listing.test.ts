import { describe, expect, it } from 'vitest';

import { ObjectListing, pageOf } from './listing.ts';
import { compareKeys } from './key.ts';
import type { ListPage, ObjectSummary } from './object.ts';

function summary(key: string): ObjectSummary {
  return { key, size: 1, etag: 'e', lastModified: new Date(0), storageClass: 'STANDARD' };
}

describe('pageOf', () => {
  /** A second definition of a listing: all names, then cut. */
  function namesOf(keys: readonly string[], prefix: string, delimiter: string): string[] {
    const names = keys
      .filter((key) => key.startsWith(prefix))
      .map((key) => {
        const [head = '', ...rest] = delimiter === '' ? [key.slice(prefix.length)] : key.slice(prefix.length).split(delimiter);
        return prefix + head + (rest.length > 0 ? delimiter : '');
      });
    return [...new Set(names)].sort(compareKeys);
  }

  it('lists every name once and in order, whatever the keys, delimiter and page size', () => {
    const parts = ['a', 'b', '/', '::', '\uffff', '\u{10000}', ':', ''];
    const keys = [...new Set(parts.flatMap((x) => parts.flatMap((y) => parts.map((z) => x + y + z))))].filter((key) => key !== '');
    for (const delimiter of ['', '/', '::', '\u{10000}']) {
      for (const prefix of ['', 'a', 'a/', ':', '::', '\uffff', 'nothing']) {
        for (const maxKeys of [1, 7, 1000]) {
          const found: string[] = [];
          let token: string | undefined;
          do {
            const page: ListPage = pageOf(keys.map(summary), {
              prefix,
              delimiter,
              maxKeys,
              ...(token !== undefined && { continuationToken: token }),
            });
            const names = [...page.objects.map((object) => object.key), ...page.commonPrefixes];
            expect(names.length).toBeLessThanOrEqual(maxKeys);
            found.push(...names.sort(compareKeys));
            token = page.nextContinuationToken;
          } while (token !== undefined);
          expect(found).toEqual(namesOf(keys, prefix, delimiter));
        }
      }
    }
  });
});

describe('ObjectListing', () => {
  const asked: (string | undefined)[] = [];
  const pages: Readonly<Record<string, ListPage>> = {
    first: { objects: [summary('a'), summary('b')], commonPrefixes: ['p/'], isTruncated: true, nextContinuationToken: 'second' },
    second: { objects: [summary('c')], commonPrefixes: [], isTruncated: false },
  };
  const listing = new ObjectListing(async (token) => {
    asked.push(token);
    return pages[token ?? 'first']!;
  });

  it('awaits to one page, iterates over all objects, and asks anew each time', async () => {
    expect((await listing).objects.length).toBe(2);
    expect(await listing.then((page) => page.commonPrefixes)).toEqual(['p/']);
    const keys: string[] = [];
    for await (const object of listing) keys.push(object.key);
    expect(keys).toEqual(['a', 'b', 'c']);
    const sizes: number[] = [];
    for await (const page of listing.pages()) sizes.push(page.objects.length);
    expect(sizes).toEqual([2, 1]);
    expect(asked).toEqual([undefined, undefined, undefined, 'second', undefined, 'second']);
  });

  it('asks for no page that nobody wants', async () => {
    asked.length = 0;
    for await (const _object of listing) break;
    expect(asked).toEqual([undefined]);
  });

  it('rejects like a promise', async () => {
    const failing = new ObjectListing(() => Promise.reject(new Error('down')));
    await expect(failing).rejects.toThrow('down');
    await expect(failing.then(undefined, () => 'caught')).resolves.toBe('caught');
  });
});
