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

/** Runs a checkout whose pinned versions must be downloaded; nothing answers at the registry in its environment. */
function run(args: readonly string[], { node = '>=1.0', preload = '' } = {}) {
  writeFileSync(join(root, 'package.json'), JSON.stringify({ packageManager: 'pnpm@12.0.0', engines: { node } }));
  writeFileSync(join(root, '.node-version'), '99.1.2\n');
  writeFileSync(join(root, 'preload.cjs'), preload);
  const env = {
    ...process.env,
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
    const platform = `${process.platform}-${process.arch}`;
    for (const [path, script] of [
      [`.toolchain/pnpm-12.0.0-${platform}/node_modules/pnpm/pnpm`, ''],
      ['node_modules/.bin/turbo', 'echo "$@" > built'],
    ] as const) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    }
    const { lines } = run(['start']);
    expect(lines).toEqual(['[coffer] installing dependencies', '[coffer] The build left no apps/api/dist/main.js to start.']);
    const filters = readFileSync(join(root, 'built'), 'utf8').match(/(?<=--filter=)\S+/g);
    expect(filters?.toSorted()).toEqual(['@coffer/api...', '@coffer/cli...']);
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
