import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'coffer-checkout-'));
  mkdirSync(join(root, 'tooling/bootstrap'), { recursive: true });
  const here = fileURLToPath(new URL('.', import.meta.url));
  for (const name of readdirSync(here).filter((file) => /\.[cm]js$/.test(file)))
    copyFileSync(join(here, name), join(root, 'tooling/bootstrap', name));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Puts scripts in the place of the tools that a checkout has downloaded and installed. */
function installTools({ pnpm = '', turbo = '', vitest = '' }) {
  const pnpmFolder = `.toolchain/pnpm-12.0.0-${process.platform}-${process.arch}/node_modules/pnpm`;
  for (const [path, text] of [
    [`${pnpmFolder}/pnpm`, `#!/bin/sh\n${pnpm}\n`],
    ['node_modules/.bin/turbo', `#!/bin/sh\n${turbo}\n`],
    ['node_modules/vitest/vitest.mjs', vitest],
  ] as const) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text, { mode: 0o755 });
  }
}

/** Runs a checkout whose pinned versions must be downloaded; nothing answers at the registry in its environment. */
function run(args: readonly string[], { node = '>=1.0', preload = '', nodeEnv = 'test' } = {}) {
  writeFileSync(join(root, 'package.json'), JSON.stringify({ packageManager: 'pnpm@12.0.0', engines: { node } }));
  writeFileSync(join(root, '.node-version'), '99.1.2\n');
  writeFileSync(join(root, 'preload.cjs'), preload);
  const env = {
    ...process.env,
    NODE_ENV: nodeEnv,
    npm_config_registry: 'http://127.0.0.1:9',
    npm_config_fetch_retries: '0',
    npm_config_cache: join(root, 'npm'),
  };
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--require', join(root, 'preload.cjs'), join(root, 'tooling/bootstrap/run.mjs'), ...args],
    {
      env,
      encoding: 'utf8',
    },
  );
  return { status, stdout, lines: stderr.trim().split('\n') };
}

describe('the bootstrap', () => {
  it('says in one sentence, without a stack, that the pinned Node cannot be downloaded', () => {
    const { status, stdout, lines } = run(['start'], { node: '>=99.0' });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(lines).toEqual([
      '[coffer] fetching Node 99.1.2 from the npm registry',
      '[coffer] no answer from the npm registry yet (ECONNREFUSED)',
      '[coffer] Coffer could not download Node 99.1.2 from the npm registry: connect ECONNREFUSED 127.0.0.1:9. Check the network or proxy and run npm start again.',
    ]);
  });

  it('names the command that was run, and does not need the pinned Node where the running one is new enough', () => {
    const { status, lines } = run(['test']);
    expect(status).toBe(1);
    expect(lines.at(-1)).toContain('Coffer could not download pnpm 12.0.0');
    expect(lines.at(-1)).toContain('run npm test again.');
  });

  it('says at once that PATH cannot contain the folders of this checkout', () => {
    root = join(root, 'a:b');
    mkdirSync(root);
    cpSync(join(root, '../tooling'), join(root, 'tooling'), { recursive: true });
    const { status, lines } = run(['start']);
    root = dirname(root);
    expect(status).toBe(1);
    expect(lines).toEqual([
      expect.stringMatching(/^\[coffer\] Coffer does not build in .*a:b: PATH .*":".* Rename it and run npm start again\.$/),
    ]);
  });

  it('leaves nothing behind that a later run would take for a tool', () => {
    run(['start']);
    expect(readdirSync(join(root, '.toolchain'))).toEqual([]);
  });

  it('builds the command line along with the server, as the documents promise', () => {
    installTools({ turbo: 'echo "$@" > built' });
    const { lines } = run(['start']);
    expect(lines).toEqual(['[coffer] installing dependencies', '[coffer] The build left no apps/api/dist/main.js to start.']);
    const filters = readFileSync(join(root, 'built'), 'utf8').match(/(?<=--filter=)\S+/g);
    expect(filters?.toSorted()).toEqual(['@coffer/api...', '@coffer/cli...']);
  });

  it('installs what builds it in a production environment, too', () => {
    installTools({ pnpm: 'echo "environment: $NODE_ENV" > installed' });
    run(['start'], { nodeEnv: 'production' });
    expect(readFileSync(join(root, 'installed'), 'utf8')).toBe('environment: \n');
  });

  it('installs again after an install that failed, also for what was installed before it', () => {
    const count = (): number => readFileSync(join(root, 'installed'), 'utf8').length;
    installTools({ pnpm: 'printf x >> installed; ! grep bad pnpm-lock.yaml' });
    for (const [lockfile, installs] of [
      ['good', 1],
      ['good', 1],
      ['bad', 2],
      ['good', 3],
    ] as const) {
      writeFileSync(join(root, 'pnpm-lock.yaml'), lockfile);
      run(['start']);
      expect(count()).toBe(installs);
    }
  });

  it('says that the disk is full when it is', () => {
    installTools({ pnpm: 'echo "  × No space left on device (os error 28)"; exit 1' });
    expect(run(['start']).lines.at(-1)).toBe(
      '[coffer] Coffer could not install its dependencies: No space left on device (os error 28). Free some disk space and run npm start again.',
    );
  });

  it.each([
    ['passed', 0, '1 passed, 0 failed\n'],
    ['failed', 1, '0 passed, 1 failed\n'],
  ])('ends with the count of the tests, and with their status: %s', (status, exit, stdout) => {
    const report = { testResults: [{ name: join(root, 'a.test.ts'), status, assertionResults: [{ status }] }] };
    installTools({
      vitest: `
        import { writeFileSync } from 'node:fs';
        writeFileSync('reports/vitest.json', ${JSON.stringify(JSON.stringify(report))});
        process.exitCode = ${exit};`,
    });
    expect(run(['test', 'a.test.ts'])).toMatchObject({ status: exit, stdout });
    installTools({ vitest: '' }); // writes none: the report of the run before counts for nothing
    const { status: without, stdout: last, lines } = run(['test', 'a.test.ts']);
    expect([without, last, lines.at(-1)]).toEqual([1, '0 passed, 1 failed\n', '[coffer] vitest wrote no usable report']);
  });

  it('knows its tasks', () => {
    const { status, lines } = run(['serve']);
    expect(status).toBe(2);
    expect(lines).toEqual(['[coffer] There is no task "serve". Known: start, test, check.']);
  });

  it.each([
    ['a machine without a build', "Object.defineProperty(process, 'arch', { value: 'ia32' });", `this is ${process.platform}-ia32.`],
    [
      'Alpine',
      "Object.defineProperty(process, 'platform', { value: 'linux' }); process.report.getReport = () => ({ header: {} });",
      'with musl (as on Alpine).',
    ],
    ['Windows', "Object.defineProperty(process, 'platform', { value: 'win32' });", ': use WSL 2.'],
  ])('on %s, says which machines are supported before it downloads anything', (_machine, preload, end) => {
    const { status, lines } = run(['start'], { preload });
    expect({ status, count: lines.length }).toEqual({ status: 1, count: 1 });
    expect(lines[0]).toContain('Coffer runs on Linux with glibc and on macOS, x64 or arm64;');
    expect(lines[0]?.endsWith(end)).toBe(true);
  });

  it('says in one sentence that Node is too old', () => {
    const { status, lines } = run(['start'], { preload: "Object.defineProperty(process.versions, 'node', { value: '16.20.2' });" });
    expect(status).toBe(1);
    expect(lines).toEqual([
      'Coffer needs Node 18 or newer to prepare itself, and this is Node 16.20.2. Install a newer Node and try again.',
    ]);
  });
});
