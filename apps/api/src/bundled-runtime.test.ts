import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { build } from 'esbuild';
import { expect, it, onTestFinished } from 'vitest';

const packageRoot = fileURLToPath(new URL('..', import.meta.url));

// Tested here because this package has the bundler. Others bundle to CommonJS, where import.meta is empty.
it('@coffer/runtime finds PostgreSQL and backends out of a bundle of CommonJS', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-bundled-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o711); // lets PostgreSQL, which does not run as root, pass through
  await symlink(join(packageRoot, 'node_modules'), join(folder, 'node_modules'));
  const program = `
    import { createRuntime, parseConfig } from '@coffer/runtime';
    try {
      parseConfig({ STORAGE_BACKEND: '@acme/none', PORT: 'none' });
    } catch (error) {
      console.log(error.message);
    }
    createRuntime(parseConfig({ COFFER_DATA_DIR: ${JSON.stringify(join(folder, 'data'))} })).then(async ({ database, close }) => {
      console.log(await database.sql\`select 1 as one\`);
      await close();
    });`;
  const outfile = join(folder, 'program.cjs');
  await build({
    stdin: { contents: program, resolveDir: packageRoot },
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    conditions: ['@coffer/source'],
    logLevel: 'error',
  });
  // As pm2, Lambda and others start programs: from a program of their own, in any directory.
  const env = { ...process.env, NODE_PATH: '' }; // whatever starts this test may have set it, and then everything would be found
  const start = ['--eval', `require(${JSON.stringify(outfile)})`];
  const { stdout } = await promisify(execFile)(process.execPath, start, { cwd: '/', env });
  expect(stdout).toContain('STORAGE_BACKEND: names neither a backend (local, s3, minio) nor a module that is installed.');
  expect(stdout).toContain('[ { one: 1 } ]');
});
