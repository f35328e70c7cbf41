// Bundles the server: unbundled, drizzle alone costs half a second at each start. Splitting keeps what is loaded on
// demand (a backend, the pretty log) out of the way of the start.
import { copyFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const { version } = JSON.parse(await readFile(join(here, 'package.json'), 'utf8'));

// Another folder than dist, for tests that build the server themselves.
const outdir = resolve(here, process.argv[2] ?? 'dist');

/**
 * Of zod's fifty languages, a third of what the server loads, its errors speak one, which it imports by itself.
 * @type {import('esbuild').Plugin}
 */
const oneLanguage = {
  name: 'one-language',
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
  // The text of what is loaded stays in memory: without comments it is half as long, and no character takes two bytes. Names stay,
  // and lines, for what stacks say.
  minifyWhitespace: true,
  lineLimit: 200,
  legalComments: 'linked',
  conditions: ['@coffer/source'],
  define: { COFFER_VERSION: JSON.stringify(version) },
  // CommonJS packages in the bundle reach Node's own modules through require.
  banner: { js: "import { createRequire as cofferRequire } from 'node:module'; const require = cofferRequire(import.meta.url);" },
  plugins: [oneLanguage],
  logLevel: 'warning',
});

// The viewer of /docs is no export of its package: it lies beside the package's entry.
const scalar = createRequire(import.meta.url).resolve('@scalar/api-reference');
await copyFile(join(dirname(scalar), 'browser/standalone.js'), join(outdir, 'scalar.js'));

// A server that runs loads parts of its build when they are first needed: those of the build before this one stay.
const record = join(outdir, 'build.json');
const made = Object.keys(metafile.outputs).map((path) => relative(outdir, join(here, path)));
const before = await readFile(record, 'utf8')
  .then(JSON.parse)
  .catch(() => []);
const kept = new Set([...made, ...before, 'scalar.js', 'build.json']);
await writeFile(record, JSON.stringify(made));
for (const file of await readdir(outdir)) if (!kept.has(file)) await rm(join(outdir, file), { recursive: true });
