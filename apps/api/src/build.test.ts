import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { expect, it, onTestFinished } from 'vitest';

const packageRoot = fileURLToPath(new URL('..', import.meta.url));

it('has the licences of what it bundles, and leaves the files of the build before it to a server that runs, and no older ones', async () => {
  const outdir = await mkdtemp(join(tmpdir(), 'coffer-build-'));
  onTestFinished(() => rm(outdir, { recursive: true, force: true }));
  const build = () => promisify(execFile)(process.execPath, ['build.mjs', outdir], { cwd: packageRoot });
  await build();
  const files = await readdir(outdir);
  expect(files).toEqual(expect.arrayContaining(['main.js', 'scalar.js']));
  const licences = await readFile(join(outdir, 'THIRD-PARTY-LICENSES.txt'), 'utf8');
  for (const bundled of [/^hono [\d.]+ \(MIT\)$/m, /^Copyright .* Yusuke Wada/m, /^postgres 3/m, /^@scalar\/api-reference /m])
    expect(licences).toMatch(bundled);

  // Pretends that the previous build came from other sources.
  const record = join(outdir, 'build.json');
  const made = JSON.parse(await readFile(record, 'utf8')) as string[];
  await writeFile(record, JSON.stringify([...made, 'acl-BEFORE.js']));
  for (const file of ['acl-BEFORE.js', 'acl-LONG-AGO.js']) await writeFile(join(outdir, file), '');
  await build();
  expect((await readdir(outdir)).toSorted()).toEqual([...files, 'acl-BEFORE.js'].toSorted());
  await build();
  expect((await readdir(outdir)).toSorted()).toEqual(files.toSorted());
});
