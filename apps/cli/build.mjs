// Bundles the commands, each as an entry of its own: a command does not load what it does not use, and what it does use is a file or
// two instead of hundreds. The files are CommonJS, and bin/program.js loads them. oclif itself becomes two files; its plugins stay
// packages.
import { copyFile, glob, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { licencesOf } from '@coffer/licences';
import { Plugin } from '@oclif/core/config';
import { build } from 'rolldown';

import { chunkOf } from './build/chunks.ts';
import { librariesApart, librariesOf } from './build/oclif-libraries.ts';
import { importsByLoader } from './build/imports-by-loader.ts';
import { nodeWhenUsed } from './build/node-when-used.ts';
import { oclifInOneFile } from './build/oclif-in-one-file.ts';
import { oclifWhenUsed } from './build/oclif-when-used.ts';
import { idOf } from './build/id.ts';
import { newBuildDir, replaceBuild } from './build/build-dir.ts';
import { plainCharacters } from './build/plain-characters.ts';
import { plainExports } from './build/plain-exports.ts';

const here = dirname(fileURLToPath(import.meta.url));

// Tests that build the CLI themselves pass another folder than this package.
const root = resolve(here, process.argv[2] ?? '.');
const dist = join(root, 'dist');
const manifest = join(root, 'oclif.manifest.json');
const { version } = JSON.parse(await readFile(join(here, 'package.json'), 'utf8'));

if (root !== here) {
  await mkdir(join(root, 'bin'), { recursive: true });
  for (const file of ['package.json', 'bin/coffer.js', 'bin/fetched-node.js', 'bin/program.js'])
    await copyFile(join(here, file), join(root, file));
}
// The build is made elsewhere, and then moved into place.
const buildDir = await newBuildDir(root);
const outdir = join(buildDir, 'dist');
await mkdir(buildDir);
await copyFile(join(here, 'package.json'), join(buildDir, 'package.json'));

const input = { main: 'src/main.ts' };
for await (const file of glob('src/commands/**/*.ts', { cwd: here }))
  if (!file.endsWith('.test.ts')) input[file.slice('src/'.length, -'.ts'.length)] = file;

const shared = { cwd: here, platform: 'node', transform: { target: 'node22' } };
const oclif = {
  ...shared,
  output: {
    dir: outdir,
    format: 'cjs',
    entryFileNames: '[name].cjs',
    codeSplitting: false,
    minify: { compress: true, mangle: false },
  },
};
/** @type {Set<string>} */
const libraries = new Set();
const { output: inOclif } = await build({
  ...oclif,
  input: { oclif: 'src/oclif.ts' },
  plugins: [oclifWhenUsed(), nodeWhenUsed(), librariesApart(libraries), importsByLoader(), plainCharacters()],
});
const { input: librariesInput, plugin: librariesPlugin } = librariesOf(libraries);
const others = await build([
  { ...oclif, input: librariesInput, plugins: [librariesPlugin, nodeWhenUsed(), importsByLoader(), plainCharacters()] },
  {
    ...shared,
    input,
    external: [/^@oclif\//],
    preserveEntrySignatures: 'allow-extension',
    resolve: { conditionNames: ['@coffer/source', 'node', 'import', 'default'] },
    transform: { ...shared.transform, define: { COFFER_VERSION: JSON.stringify(version) } },
    plugins: [oclifInOneFile(), nodeWhenUsed(), plainExports(), importsByLoader(), plainCharacters()],
    output: {
      dir: outdir,
      format: 'cjs',
      exports: 'named',
      entryFileNames: '[name].cjs',
      chunkFileNames: 'chunks/[name]-[hash].cjs',
      codeSplitting: { includeDependenciesRecursively: false, groups: [{ debugName: 'loaded together', name: chunkOf(here) }] },
    },
  },
]);

await writeFile(join(outdir, 'id'), await idOf(outdir));

// A package that is bundled asks that its licence is passed on.
const chunks = [inOclif, ...others.map(({ output }) => output)].flat().filter((file) => file.type === 'chunk');
await writeFile(join(outdir, 'THIRD-PARTY-LICENSES.txt'), await licencesOf(chunks.flatMap(({ moduleIds }) => moduleIds)));

// A running command loads parts of its build when it first needs them, so the chunks of the previous build stay.
const made = await readdir(join(outdir, 'chunks'));
await writeFile(join(outdir, 'build.json'), JSON.stringify(made));
/** @type {string[]} */
const before = await readFile(join(dist, 'build.json'), 'utf8')
  .then(JSON.parse)
  .catch(() => []);
for (const file of before)
  if (!made.includes(file)) await copyFile(join(dist, 'chunks', file), join(outdir, 'chunks', file)).catch(() => {});
// With the manifest, oclif knows every command without loading any. It is made in `buildDir`, where no other build interferes.
const plugin = new Plugin({ root: buildDir, type: 'core', ignoreManifest: true, errorOnManifestCreate: true, respectNoCacheDefault: true });
await plugin.load();
await writeFile(join(buildDir, 'manifest'), `${JSON.stringify(plugin.manifest)}\n`);

await replaceBuild(outdir, dist);
await rename(join(buildDir, 'manifest'), manifest);
await rm(buildDir, { recursive: true });
