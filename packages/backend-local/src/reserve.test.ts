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
/** Differs for each time that the space was set aside. */
async function identity(): Promise<string> {
  const { ino, mtimeNs } = await stat(path(), { bigint: true });
  return `${ino} ${mtimeNs}`;
}

it('replaces what a process left that was killed while setting space aside', async () => {
  await writeFile(`${path()}.new`, 'some of it');
  await new Reserve(path()).restore();
  expect(await readdir(directory)).toEqual(['reserve']);
  expect((await stat(path())).size).toBe(1024 * 1024);
});

it('is restored if it was cut short, once for all concurrent callers, and left alone while it is whole', async () => {
  await writeFile(path(), 'cut');
  const reserve = new Reserve(path());
  await Promise.all([reserve.restore(), reserve.restore()]);
  expect(await readdir(directory)).toEqual(['reserve']);
  expect((await stat(path())).size).toBe(1024 * 1024);
  await reserve.spend(async () => expect(await readdir(directory)).toEqual([]));
  const both = [reserve.restore(), reserve.restore()];
  await both[0];
  const restored = await identity();
  await both[1];
  await reserve.restore();
  expect(await identity()).toBe(restored);
  expect((await stat(path())).size).toBe(1024 * 1024);
});

it('is spent for all concurrent callers, and not restored meanwhile', async () => {
  const reserve = new Reserve(path());
  await reserve.restore();
  const seen: boolean[] = [];
  let restored: Promise<void> | undefined;
  const spending = Array.from({ length: 3 }, () =>
    reserve.spend(async () => {
      restored ??= reserve.restore();
      seen.push((await readdir(directory)).length === 0);
    }),
  );
  await Promise.all(spending);
  await restored;
  expect(seen).toEqual([true, true, true]);
  expect((await stat(path())).size).toBe(1024 * 1024);
});

it('is restored by any process that asks after another one has spent it', async () => {
  const [one, other] = [new Reserve(path()), new Reserve(path())];
  await one.restore();
  await other.spend(() => Promise.resolve());
  await one.restore();
  expect((await stat(path())).size).toBe(1024 * 1024);
});
