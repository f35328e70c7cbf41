import type { ListPage } from '@coffer/storage-core';
import { expect, it } from 'vitest';

import type { Output } from '../output.ts';
import { ReportedError } from '../problem.ts';
import { renderList } from './list.ts';

it('of a listing that fails after some pages, the document has what was found, common prefixes included', async () => {
  let text = '';
  const output: Pick<Output, 'json' | 'isClosed' | 'write' | 'ready'> = {
    json: true,
    isClosed: false,
    write: (more) => void (text += more),
    ready: async () => {},
  };
  async function* pages(): AsyncGenerator<ListPage> {
    yield { objects: [], commonPrefixes: ['a/', 'b/'], isTruncated: true, nextContinuationToken: 'b/' };
    throw new Error('gone');
  }
  await expect(renderList(pages(), output as Output)).rejects.toThrow(ReportedError);
  expect(JSON.parse(text)).toEqual({
    objects: [],
    common_prefixes: ['a/', 'b/'],
    error: { code: 'internal_error', message: 'gone' },
  });
});
