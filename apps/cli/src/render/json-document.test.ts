import { expect, it } from 'vitest';

import type { Output } from '../output.ts';
import { LocalError } from '../problem.ts';
import { JsonDocument } from './json-document.ts';

function recorded(): { readonly document: JsonDocument; text(): string } {
  let text = '';
  const output: Pick<Output, 'json' | 'write'> = { json: true, write: (more) => void (text += more) };
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

it('is written in whole lines', async () => {
  const written: string[] = [];
  const output: Pick<Output, 'json' | 'write'> = { json: true, write: (text) => void written.push(text) };
  const document = new JsonDocument(output as Output);
  await document.guard(async () => {
    document.array('a', [1]);
    document.array('a', [2, 3]);
    document.array('b', []);
    document.value('c', {});
  });
  expect(written.filter((text) => !text.endsWith('\n'))).toEqual([]);
  expect(written.join('')).toBe('{\n  "a": [\n    1,\n    2,\n    3\n  ],\n  "b": [],\n  "c": {}\n}\n');
});

it('is complete even when it ends early, and is not begun by an error alone', async () => {
  const { document, text } = recorded();
  const error = new LocalError('disk_full', 'The disk is full.');
  await expect(
    document.guard(async () => {
      document.array('a', [1]);
      throw error;
    }),
  ).rejects.toMatchObject({ name: 'ReportedError', cause: error });
  expect(JSON.parse(text())).toEqual({ a: [1], error: { code: 'disk_full', message: 'The disk is full.' } });

  const nothing = recorded();
  await expect(
    nothing.document.guard(async () => {
      throw error;
    }),
  ).rejects.toBe(error);
  expect(nothing.text()).toBe('');
});

it('holds names as they are, and nothing that moves a cursor or turns the direction of writing', async () => {
  const { document, text } = recorded();
  const name = '\u001b[2J \u009b2J \u007f \u2028 \u202egpj.exe \u2066 é 🦊 \ud800';
  await document.guard(async () => {
    document.value('name', name);
    document.array('keys', [{ key: name }]);
  });
  expect(JSON.parse(text())).toEqual({ name, keys: [{ key: name }] });
  // oxlint-disable-next-line no-control-regex -- these must not be there
  expect(text().replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/);
  expect(text()).toContain('é 🦊');
});
