import type * as fs from 'node:fs/promises';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { Folders } from './folders.ts';
import { NameClaims } from './name-claims.ts';

/** Maps a name to the one under which the file system of the test looks it up. */
const fileSystem = vi.hoisted(() => ({ nameOf: (name: string) => name }));

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof fs>();
  return {
    ...real,
    async access(path: string) {
      const names = await real.readdir(dirname(path));
      const isThere = names.some((name) => fileSystem.nameOf(name) === fileSystem.nameOf(basename(path)));
      if (!isThere) throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' });
    },
  };
});

const caseOf = (name: string): string => name.toLowerCase().replaceAll('ß', '\u1e9e').toUpperCase();
const vfat = (name: string): string => caseOf(name).replace(/\.+$/, '');
const accents = (name: string): string => name.normalize('NFC');

let path: string;

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'coffer-name-claims-'));
});

afterEach(async () => {
  fileSystem.nameOf = (name) => name;
  await rm(path, { recursive: true });
});

it.each<[string, (name: string) => string, string, string]>([
  ['by case', caseOf, 'a/B', 'A/b'],
  ['by the case of a letter with two small forms', caseOf, 'οδοσ', 'ΟΔΟΣ'],
  ['by case, one being the Kelvin sign', caseOf, 'k', '\u212a'],
  ['by letters that are one or two', (name) => name.toUpperCase(), 'straße', 'STRASSE'],
  ['by the form of accents', accents, 'caf\u00e9', 'cafe\u0301'],
  ['by a dot at the end', vfat, 'a', 'a.'],
  ['by dots at the end of a folder', vfat, 'a/b', 'A../b'],
])('a second name that differs only %s is a conflict where the file system ignores that', async (_how, nameOf, first, second) => {
  fileSystem.nameOf = nameOf;
  const claims = new NameClaims(new Folders(path));
  await claims.claim(first);
  await expect(claims.claim(second)).rejects.toMatchObject({ code: 'path_conflict', message: expect.stringContaining(first) as string });
  await claims.claim(first);
  expect(await readdir(path)).toEqual([]);
});

it.each<[string, (name: string) => string, string, string]>([
  ['by anything', (name) => name, 'a', 'A'],
  ['by case, where only accents make no difference', accents, 'a', 'A'],
  ['by letters that are one or two, where only case makes no difference', caseOf, 'straße', 'strasse'],
  ['by a dot at the end, where only case makes no difference', caseOf, 'a', 'a.'],
  ['by the dot of an i, where case makes no difference', (name) => name.toLowerCase(), 'kırık', 'kirik'],
  ['by the dot of an i, where letters are one or two', (name) => name.toLowerCase().replaceAll('ß', 'ss'), 'kırık', 'kirik'],
])('a second name that differs %s is another file', async (_how, nameOf, first, second) => {
  fileSystem.nameOf = nameOf;
  const claims = new NameClaims(new Folders(path));
  await claims.claim(first);
  await claims.claim(second);
});

it('once the folder can be created, names can be claimed', async () => {
  const root = join(path, 'file/out');
  const claims = new NameClaims(new Folders(root));
  await writeFile(join(path, 'file'), '');
  await expect(claims.claim('a')).rejects.toMatchObject({ code: 'path_conflict' });
  await rm(join(path, 'file'));
  await claims.claim('a');
  expect(await readdir(root)).toEqual([]);
});
