// Puts the patched postgres.js into the built package, in place of the module that imports it. Run it after tsc.
// Argument: the folder of the build, by default dist.
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { build } from 'esbuild';

const here = import.meta.dirname;
const outfile = resolve(here, '..', process.argv[2] ?? 'dist', 'database/driver.js');

await build({
  entryPoints: [join(here, '../src/database/driver.ts')],
  outfile,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node22',
  banner: { js: '// postgres.js, which its author has dedicated to the public (Unlicense), with changes: see README.md.' },
  logLevel: 'warning',
});
rmSync(`${outfile}.map`, { force: true }); // tsc's, of the module that has been replaced
