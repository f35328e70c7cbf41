import { fileURLToPath } from 'node:url';

import { defineConfig } from 'vitest/config';

// Each test file runs in a process of its own, and most load the same libraries: V8's compiled code is kept between them.
// oxlint-disable-next-line node/no-process-env -- Node's own switch for such caches
process.env['NODE_COMPILE_CACHE'] ??= fileURLToPath(new URL('node_modules/.cache/compiled', import.meta.url));

// Without 'module': in some packages it leads to code for bundlers, which Node cannot load.
const conditions = ['@coffer/source', 'node', 'development|production'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['{packages,apps}/*/src/**/*.test.ts', 'tooling/*/{,src/**/}*.test.ts'],
    globalSetup: ['./tooling/fixtures/src/vitest-global-setup.ts'],
    pool: 'forks',
    // For two cores: many tests wait for what they bring about, such as timeouts.
    maxWorkers: 3,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // What tests wait for happens at once, except on a machine under load; the default is a second.
    expect: { poll: { timeout: 20_000 } },
    passWithNoTests: false,
  },
});
