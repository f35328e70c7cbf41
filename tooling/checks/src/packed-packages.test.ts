import { describe, expect, it } from 'vitest';
import { importedPackages, leftovers, nameOf, unpatched } from './packed-packages.ts';

describe('the packages that a built file imports', () => {
  it('are found in every form of import, once each, without Node and relative ones', () => {
    const code = [
      "import { a } from 'hono/cors';",
      'import type { B } from "@coffer/storage-core/testing";',
      "import '@coffer/storage-core';",
      "export { c } from 'zod';",
      "const d = await import('jose');",
      "import { readFile } from 'node:fs/promises';",
      "import { e } from './e.js';",
    ].join('\n');
    expect(importedPackages(code)).toEqual(['hono', '@coffer/storage-core', 'zod', 'jose']);
  });

  it('are not those of examples in comments', () => {
    expect(importedPackages("/**\n * import { x } from 'x';\n */\n// import 'y';\n")).toEqual([]);
  });
});

describe('packages that are patched here', () => {
  const patched = new Set(['postgres@3.4.9', '@acme/driver@1.0.0', '@acme/other', 'plain'].map(nameOf));

  it('are known by their names', () => {
    expect([...patched]).toEqual(['postgres', '@acme/driver', '@acme/other', 'plain']);
  });

  it('are imported by no module of a published package, except for their types', () => {
    const imports = ['hono', 'postgres', '@acme/driver'];
    expect(unpatched('dist/driver.js', imports, patched)).toEqual(['postgres', '@acme/driver']);
    expect(unpatched('dist/driver.d.ts', imports, patched)).toEqual([]);
  });
});

describe('built files whose source is gone', () => {
  const source = ['src/index.ts', 'src/http/index.ts'];
  const built = source.flatMap((path) =>
    ['.js', '.js.map', '.d.ts', '.d.ts.map'].map((ending) => path.replace('src/', 'dist/').replace('.ts', ending)),
  );

  it('are found, with their declarations and maps', () => {
    const gone = ['dist/url.js', 'dist/url.js.map', 'dist/url.d.ts', 'dist/url.d.ts.map', 'dist/http/cors.js'];
    expect(leftovers([...source, ...built, ...gone])).toEqual(gone);
  });

  it('are none of a build of the present sources', () => {
    expect(leftovers(['README.md', 'package.json', 'drizzle/0000_initial.sql', ...source, ...built])).toEqual([]);
  });
});
