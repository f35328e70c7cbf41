import { expect, it } from 'vitest';

import type { Output } from '../output.ts';
import { LocalError } from '../problem.ts';
import { JsonDocument } from './json-document.ts';

function recorded(): { readonly document: JsonDocument; text(): string } {
  let text = '';
  const output: Pick<Output, 'write'> = { write: (more) => void (text += more) };
  return { document: new JsonDocument(output as Output), text: () => text };
}

it('is written member by member', async () => {
  const { document, text } = recorded();
  await document.guard(async () => {
    document.value('a', 1);
    document.array('b', [1, { c: 'd' }]);
    document.array('b', []);
    document.array('b', [3]);
    document.array('e', []);
    document.value('f', null);
  });
  expect(JSON.parse(text())).toEqual({ a: 1, b: [1, { c: 'd' }, 3], e: [], f: null });
});

it('is whole also when it ends early, and is not begun by an error alone', async () => {
  const { document, text } = recorded();
  const error = new LocalError('disk_full', 'The disk is full.');
  await expect(
    document.guard(async () => {
      document.array('a', [1]);
      throw error;
    }),
  ).rejects.toMatchObject({ name: 'ToldError', cause: error });
  expect(JSON.parse(text())).toEqual({ a: [1], error: { code: 'disk_full', message: 'The disk is full.' } });

  const nothing = recorded();
  await expect(
    nothing.document.guard(async () => {
      throw error;
    }),
  ).rejects.toBe(error);
  expect(nothing.text()).toBe('');
});
