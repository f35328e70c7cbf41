import { describe, expect, it } from 'vitest';
import { importedPackages } from './packed-packages.ts';

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
