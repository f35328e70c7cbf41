// Bundles the commands, each an entry of its own: what a command does not use is not loaded, and what it uses is a file or
// two instead of hundreds. oclif itself becomes one CommonJS file (40 ms less at each start); its plugins stay packages.
import { copyFile, glob, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Plugin } from '@oclif/core/config';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));

// Another folder than this package, for tests that build the command line themselves.
const root = resolve(here, process.argv[2] ?? '.');
const outdir = join(root, 'dist');
const manifest = join(root, 'oclif.manifest.json');
const { version } = JSON.parse(await readFile(join(here, 'package.json'), 'utf8'));

await Promise.all([rm(outdir, { recursive: true, force: true }), rm(manifest, { force: true })]);
if (root !== here) {
  await mkdir(join(root, 'bin'), { recursive: true });
  for (const file of ['package.json', 'bin/coffer.js', 'bin/fetched-node.js']) await copyFile(join(here, file), join(root, file));
}

const commands = [];
for await (const file of glob('src/commands/**/*.ts', { cwd: here })) if (!file.endsWith('.test.ts')) commands.push(file);
const shared = { absWorkingDir: here, bundle: true, platform: 'node', target: 'node22', logLevel: 'warning' };
await Promise.all([
  build({
    ...shared,
    entryPoints: ['src/oclif.ts'],
    outfile: join(outdir, 'oclif.cjs'),
    format: 'cjs',
    minifySyntax: true,
    minifyWhitespace: true,
  }),
  build({
    ...shared,
    entryPoints: ['src/main.ts', ...commands],
    outbase: 'src',
    outdir,
    splitting: true,
    format: 'esm',
    chunkNames: 'chunks/[name]-[hash]',
    conditions: ['@coffer/source'],
    define: { COFFER_VERSION: JSON.stringify(version) },
    external: ['@oclif/*'],
    plugins: [
      {
        name: 'oclif-in-one-file',
        setup: (building) => building.onResolve({ filter: /\/oclif\.ts$/ }, () => ({ path: '#oclif', external: true })),
      },
      {
        // An ECMAScript import of a module of Node evaluates all that it exports, used or not: with node:crypto all of Web Crypto
        // (20 ms), with node:http all of fetch (40 ms). A property that is read when it is needed costs nothing before.
        name: 'node-modules-when-used',
        setup: (building) => {
          building.onResolve({ filter: /^node:/ }, ({ path, kind }) =>
            kind === 'import-statement' ? { path, namespace: 'node', sideEffects: false } : undefined,
          );
          building.onLoad({ filter: /.*/, namespace: 'node' }, ({ path }) => ({
            contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
          }));
        },
      },
    ],
    // CommonJS packages in the bundle reach Node's own modules through require.
    banner: { js: "import { createRequire as cofferRequire } from 'node:module'; const require = cofferRequire(import.meta.url);" },
  }),
]);

// With the manifest, oclif knows every command without loading any.
const plugin = new Plugin({ root, type: 'core', ignoreManifest: true, errorOnManifestCreate: true, respectNoCacheDefault: true });
await plugin.load();
await writeFile(manifest, `${JSON.stringify(plugin.manifest)}\n`);
