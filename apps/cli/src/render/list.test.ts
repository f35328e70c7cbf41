import type { ListPage } from '@coffer/storage-core';
import { expect, it } from 'vitest';

import type { Output } from '../output.ts';
import { ReportedError } from '../problem.ts';
import { renderList } from './list.ts';

/** An output whose reader goes away after its first text, if `isRead` is false. */
function outputFor(json: boolean, isRead = true): { readonly output: Output; readonly text: () => string } {
  let text = '';
  const output: Pick<Output, 'json' | 'isClosed' | 'write' | 'ready'> = {
    json,
    get isClosed() {
      return !isRead && text !== '';
    },
    write: (more) => void (text += more),
    ready: async () => {},
  };
  return { output: output as Output, text: () => text };
}

it('of a listing that fails after some pages, the document has what was found, common prefixes included', async () => {
  const { output, text } = outputFor(true);
  async function* pages(): AsyncGenerator<ListPage> {
    yield { objects: [], commonPrefixes: ['a/', 'b/'], isTruncated: true, nextContinuationToken: 'b/' };
    throw new Error('gone');
  }
  await expect(renderList(pages(), output)).rejects.toThrow(ReportedError);
  expect(JSON.parse(text())).toEqual({
    objects: [],
    common_prefixes: ['a/', 'b/'],
    error: { code: 'internal_error', message: 'gone' },
  });
});

it('lets no key move the cursor, as other programs may have stored some that could', async () => {
  const { output, text } = outputFor(false);
  const object = { size: 1, etag: 'e', lastModified: new Date(0), storageClass: 'STANDARD' };
  async function* pages(): AsyncGenerator<ListPage> {
    yield { objects: [{ ...object, key: 'a\u001b[2J\nb' }], commonPrefixes: ['c\u001b/'], isTruncated: false };
  }
  await renderList(pages(), output);
  expect(text().split('\n')).toEqual([
    expect.stringMatching(/ c\\u\{1b\}\/$/),
    expect.stringMatching(/^1970-01-01T00:00:00Z +1 {2}a\\u\{1b\}\[2J\\u\{a\}b$/),
    '',
  ]);
});

it.each([false, true])('asks for no more pages once its reader has gone (JSON: %s)', async (json) => {
  const { output } = outputFor(json, false);
  let asked = 0;
  async function* pages(): AsyncGenerator<ListPage> {
    for (; asked < 5; asked++) yield { objects: [], commonPrefixes: [`${asked}/`], isTruncated: true, nextContinuationToken: `${asked}/` };
  }
  await renderList(pages(), output);
  expect(asked).toBe(0);
});
