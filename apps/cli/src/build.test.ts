import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { expect, it, onTestFinished } from 'vitest';

const packageRoot = fileURLToPath(new URL('..', import.meta.url));

async function built(): Promise<{ readonly root: string; again(...args: readonly string[]): Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), 'coffer-build-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const again = async (...args: readonly string[]): Promise<void> => {
    await promisify(execFile)(process.execPath, ['build.mjs', root, ...args], { cwd: packageRoot });
  };
  await again();
  return { root, again };
}

it('has the licences of what it bundles', { timeout: 120_000 }, async () => {
  const { root } = await built();
  const licences = await readFile(join(root, 'dist', 'THIRD-PARTY-LICENSES.txt'), 'utf8');
  for (const bundled of [/^@oclif\/core [\d.]+ \(MIT\)$/m, /^Copyright .* Salesforce/m, /^postgres 3/m, /^picomatch /m])
    expect(licences).toMatch(bundled);
});

it('can be used while it is built again', { timeout: 120_000 }, async () => {
  const { root, again } = await built();
  const needed = ['dist/main.cjs', 'dist/id', 'dist/commands/storage/list.cjs', 'oclif.manifest.json'].map((file) => join(root, file));
  const gone = new Set<string>();
  const watch = setInterval(() => needed.filter((file) => !existsSync(file)).forEach((file) => gone.add(file)), 20);
  await again();
  clearInterval(watch);
  expect([...gone]).toEqual([]);
});

it('is whole after others were made at the same time, and leaves nothing of those that were cut off', { timeout: 120_000 }, async () => {
  const { root, again } = await built();
  const files = (await readdir(join(root, 'dist'), { recursive: true })).toSorted();
  const { pid } = spawnSync(process.execPath, ['--version']);
  await mkdir(join(root, `dist.${pid}`));
  const late = delay(300).then(() => again());
  await Promise.all([again(), again(), late]);
  expect((await readdir(join(root, 'dist'), { recursive: true })).toSorted()).toEqual(files);
  expect(await readdir(root)).toEqual(['bin', 'dist', 'oclif.manifest.json', 'package.json']);
});

it('leaves what a command that runs may still load, of the build before it and of no older one', { timeout: 120_000 }, async () => {
  const { root, again } = await built();
  const [chunks, record] = [join(root, 'dist', 'chunks'), join(root, 'dist', 'build.json')];
  const made = await readdir(chunks);
  const id = await readFile(join(root, 'dist', 'id'), 'utf8');

  // As if the previous build had been made from other sources.
  await writeFile(record, JSON.stringify([...made, 'acl-BEFORE.cjs']));
  for (const file of ['acl-BEFORE.cjs', 'acl-LONG-AGO.cjs']) await writeFile(join(chunks, file), '');
  await again();
  expect((await readdir(chunks)).toSorted()).toEqual([...made, 'acl-BEFORE.cjs'].toSorted());
  expect(await readFile(join(root, 'dist', 'id'), 'utf8')).toBe(id);

  await again();
  expect((await readdir(chunks)).toSorted()).toEqual(made.toSorted());
  expect(await readdir(root)).toEqual(['bin', 'dist', 'oclif.manifest.json', 'package.json']);
});
