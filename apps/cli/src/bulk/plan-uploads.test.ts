import type * as promises from 'node:fs/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { putFiles } from '../testing/files.ts';
import { filterOf, folderFilterOf } from './filter.ts';
import { planUploads, sourcesOf } from './plan-uploads.ts';
import { isFailure } from './task.ts';

// Mocked, since file modes deny root nothing.
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof promises>();
  const opendir: typeof real.opendir = async (path, options) => {
    if (String(path).endsWith('locked')) throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
    return real.opendir(path, options);
  };
  return { ...real, opendir };
});

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coffer-plan-'));
  await putFiles(folder, { 'a.txt': 'a', 'b.md': 'b', 'locked/c.txt': 'c' });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function failuresWith(include: readonly string[], exclude: readonly string[]): Promise<readonly string[]> {
  const sources = await sourcesOf([folder, join(folder, 'missing')], { recursive: true });
  const filters = { files: filterOf(include, exclude), folders: folderFilterOf(exclude) };
  const failed: string[] = [];
  for await (const planned of planUploads(sources, {}, filters)) {
    if (isFailure(planned) && 'path' in planned.subject) failed.push(planned.subject.path.slice(folder.length + 1));
  }
  return failed.toSorted();
}

it('reports a bad entry that may hold files whatever is included, unless it is excluded itself', async () => {
  expect(await failuresWith([], [])).toEqual(['locked', 'missing']);
  expect(await failuresWith(['*.txt'], ['*.md'])).toEqual(['locked', 'missing']);
  expect(await failuresWith([], ['locked/**'])).toEqual(['missing']);
  expect(await failuresWith([], ['locked/'])).toEqual(['missing']);
  expect(await failuresWith(['*.txt'], ['locked', 'missing'])).toEqual([]);
  expect(await failuresWith([], ['!*.txt'])).toEqual(['locked', 'missing']);
});

it('says how a key or a prefix is set where the last path does not exist: in other tools, it is the destination', async () => {
  const file = join(folder, 'a.txt');
  for (const [paths, hint] of [
    [[file, 'to/key'], ' To set the key, use --key.'],
    [[file, 'to/'], ' To set the prefix of the keys, use --prefix.'],
    [[file, join(folder, 'b.md'), 'to/'], ' To set the prefix of the keys, use --prefix.'],
    [[file, join(folder, 'b.md'), 'to/key'], ''],
    [['to/key', file], ''],
    [['to/key'], ''],
  ] as const) {
    const failures = (await sourcesOf(paths, { recursive: false })).filter((source) => source.kind === 'failure');
    expect(failures).toMatchObject([{ problem: { code: 'no_such_file', message: `No such file or directory.${hint}` } }]);
  }
  for (const names of [{ recursive: true }, { recursive: false, prefix: 'to' }]) {
    const [, failure] = await sourcesOf([file, 'to/key'], names);
    expect(failure).toMatchObject({ problem: { message: 'No such file or directory.' } }); // --key would be refused
  }
});

it('reports a file that would get the key of an earlier one, whether that was named or found in a directory', async () => {
  await putFiles(folder, { 'other/a.txt': 'another' });
  const file = join(folder, 'a.txt');
  const other = join(folder, 'other');
  const all = { files: () => true, folders: () => true };
  for (const paths of [
    [file, other],
    [other, file],
  ]) {
    const planned = [];
    for await (const each of planUploads(await sourcesOf(paths, { recursive: true }), {}, all)) planned.push(each);
    expect(planned).toMatchObject([{ key: 'a.txt' }, { problem: { code: 'path_conflict' } }]);
  }
});

it('stops when its signal aborts, even while nothing is found', async () => {
  const stop = new AbortController();
  const seen: string[] = [];
  const none = (name: string): boolean => {
    seen.push(name);
    stop.abort(new Error('Stopped.'));
    return false;
  };
  const sources = await sourcesOf([folder], { recursive: true });
  const planned = planUploads(sources, {}, { files: none, folders: none }, { signal: stop.signal });
  await expect(planned.next()).rejects.toThrow('Stopped.');
  expect(seen).toHaveLength(1);
});
