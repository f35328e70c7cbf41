import { compareKeys } from '@coffer/storage-core';
import type { ListOptions } from '@coffer/storage-core';
import fc from 'fast-check';
import { it } from 'vitest';

import { listPage } from './listing.ts';

interface Entry {
  readonly kind: 'object' | 'prefix';
  readonly name: string;
}

/** The expected listing, computed the slow way. */
function expected(keys: readonly string[], prefix: string, delimiter: string): readonly Entry[] {
  const names = new Map<string, Entry>();
  for (const key of keys.filter((each) => each.startsWith(prefix))) {
    const found = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    const name = found < 0 ? key : key.slice(0, found + delimiter.length);
    names.set(`${found < 0 ? 'object' : 'prefix'} ${name}`, { kind: found < 0 ? 'object' : 'prefix', name });
  }
  return [...names.values()].sort((a, b) => compareKeys(a.name, b.name));
}

function listed(keys: readonly string[], options: ListOptions): readonly Entry[] {
  const rows = [...keys]
    .sort(compareKeys)
    .map((key) => ({ key: Buffer.from(key), size: 0, md5: Buffer.alloc(16), modified: 0, storage_class: 'STANDARD' }));
  const scan = (from: Uint8Array, below: Uint8Array): Iterable<Record<string, unknown>> =>
    rows.filter(({ key }) => Buffer.compare(key, from) >= 0 && Buffer.compare(key, below) < 0);
  const entries: Entry[] = [];
  let continuationToken: string | undefined;
  do {
    const page = listPage(scan, { ...options, ...(continuationToken !== undefined && { continuationToken }) });
    const { objects, commonPrefixes } = page;
    if (objects.length + commonPrefixes.length > (options.maxKeys ?? 1000)) throw new Error('a page is too long');
    const onPage: Entry[] = [
      ...objects.map(({ key }) => ({ kind: 'object' as const, name: key })),
      ...commonPrefixes.map((name) => ({ kind: 'prefix' as const, name })),
    ];
    entries.push(...onPage.sort((a, b) => compareKeys(a.name, b.name)));
    continuationToken = page.nextContinuationToken;
    if (page.isTruncated !== (continuationToken !== undefined))
      throw new Error('a page is truncated without a token, or the other way round');
  } while (continuationToken !== undefined);
  return entries;
}

it('a listing gives every object and common prefix once, in order, whatever the page size', () => {
  const piece = fc.constantFrom('a', 'b', '/', '//', 'é', '\uffff', '\u{10000}', '\u{10ffff}', '\u007e');
  const text = (min: number, max: number): fc.Arbitrary<string> =>
    fc.array(piece, { minLength: min, maxLength: max }).map((pieces) => pieces.join(''));
  fc.assert(
    fc.property(
      fc.uniqueArray(text(1, 5), { maxLength: 30 }),
      text(0, 2),
      text(0, 2),
      fc.integer({ min: 1, max: 7 }),
      (keys, prefix, delimiter, maxKeys) => {
        const actual = listed(keys, { prefix, delimiter, maxKeys });
        const wanted = expected(keys, prefix, delimiter);
        if (JSON.stringify(actual) !== JSON.stringify(wanted))
          throw new Error(`${JSON.stringify(actual)} instead of ${JSON.stringify(wanted)}`);
      },
    ),
    { numRuns: 2000 },
  );
});
