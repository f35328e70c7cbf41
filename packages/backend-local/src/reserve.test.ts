import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { Reserve } from './reserve.ts';
import { scratch } from './testing/storage.ts';

let directory: string;
let remove: () => Promise<void>;
beforeEach(async () => ({ path: directory, remove } = await scratch()));
afterEach(() => remove());

const path = (): string => join(directory, 'reserve');

it('takes the place of what a process left that was killed while it set space aside', async () => {
  await writeFile(`${path()}.new`, 'some of it');
  await new Reserve(path()).restore();
  expect(await readdir(directory)).toEqual(['reserve']);
  expect((await stat(path())).size).toBe(1024 * 1024);
});

it('is whole again where it was cut short, and set aside once for all who ask', async () => {
  await writeFile(path(), 'cut');
  const reserve = new Reserve(path());
  await Promise.all([reserve.restore(), reserve.restore()]);
  expect(await readdir(directory)).toEqual(['reserve']);
  expect((await stat(path())).size).toBe(1024 * 1024);
  await reserve.spend();
  await Promise.all([reserve.restoreIfSpent(), reserve.restoreIfSpent()]);
  expect((await stat(path())).size).toBe(1024 * 1024);
});
