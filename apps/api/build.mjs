// Bundles the server: unbundled, drizzle alone costs half a second at each start. Splitting keeps what is loaded on
// demand (a backend, the pretty log) out of the startup path.
import { copyFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { licencesOf } from '@coffer/licences';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const { version } = JSON.parse(await readFile(join(here, 'package.json'), 'utf8'));

// Tests that build the server themselves pass a folder other than dist.
const outdir = resolve(here, process.argv[2] ?? 'dist');

/**
 * zod's index of fifty languages is a third of what the server loads. Its errors use only English, which it imports by itself.
 * @type {import('esbuild').Plugin}
 */
const englishOnly = {
  name: 'english-only',
  setup(build) {
    build.onResolve({ filter: /\/locales\/index\.js$/ }, ({ importer, resolveDir }) =>
      /[\\/]zod[\\/]v4[\\/]/.test(importer) ? { path: join(resolveDir, '../locales/en.js') } : undefined,
    );
  },
};

const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: ['src/main.ts'],
  outdir,
  metafile: true,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22',
  sourcemap: true,
  sourcesContent: false,
  // Loaded source text stays in memory. Without comments it is half as long and has only one-byte characters. Names and lines are kept
  // for stack traces.
  minifyWhitespace: true,
  lineLimit: 200,
  legalComments: 'linked',
  conditions: ['@coffer/source'],
  define: { COFFER_VERSION: JSON.stringify(version) },
  // CommonJS packages in the bundle load Node's own modules through require.
  banner: { js: "import { createRequire as cofferRequire } from 'node:module'; const require = cofferRequire(import.meta.url);" },
  plugins: [englishOnly],
  logLevel: 'warning',
});

// The package of the /docs viewer does not export the viewer: it lies beside the package's entry.
const scalar = createRequire(import.meta.url).resolve('@scalar/api-reference');
await copyFile(join(dirname(scalar), 'browser/standalone.js'), join(outdir, 'scalar.js'));

// The bundle also goes where its packages do not, as in the image, and their licences ask to be passed on.
const bundled = Object.keys(metafile.inputs).map((path) => join(here, path));
await writeFile(join(outdir, 'THIRD-PARTY-LICENSES.txt'), await licencesOf([...bundled, scalar]));

// A running server loads parts of its build on first use, so the files of the previous build are kept.
const recordPath = join(outdir, 'build.json');
const outputs = Object.keys(metafile.outputs).map((path) => relative(outdir, join(here, path)));
const previousOutputs = await readFile(recordPath, 'utf8')
  .then(JSON.parse)
  .catch(() => []);
const kept = new Set([...outputs, ...previousOutputs, 'scalar.js', 'THIRD-PARTY-LICENSES.txt', 'build.json']);
await writeFile(recordPath, JSON.stringify(outputs));
for (const file of await readdir(outdir)) if (!kept.has(file)) await rm(join(outdir, file), { recursive: true });
