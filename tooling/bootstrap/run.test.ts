import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'coffer-checkout-'));
  mkdirSync(join(root, 'tooling/bootstrap'), { recursive: true });
  const here = new URL('.', import.meta.url).pathname;
  for (const name of readdirSync(here).filter((file) => /\.[cm]js$/.test(file)))
    copyFileSync(join(here, name), join(root, 'tooling/bootstrap', name));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A checkout that pins what no registry has to give: the one in the environment answers nobody. */
function run(args: readonly string[], { node = '>=1.0' } = {}) {
  writeFileSync(join(root, 'package.json'), JSON.stringify({ packageManager: 'pnpm@12.0.0', engines: { node } }));
  writeFileSync(join(root, '.node-version'), '99.1.2\n');
  const env = {
    ...process.env,
    npm_config_registry: 'http://127.0.0.1:9',
    npm_config_fetch_retries: '0',
    npm_config_cache: join(root, 'npm'),
  };
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'tooling/bootstrap/run.mjs'), ...args], {
    env,
    encoding: 'utf8',
  });
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

  it('leaves nothing behind that a later run would take for a tool', () => {
    run(['start']);
    expect(readdirSync(join(root, '.toolchain'))).toEqual([]);
  });

  it('knows its tasks', () => {
    const { status, lines } = run(['serve']);
    expect(status).toBe(2);
    expect(lines).toEqual(['[coffer] There is no task "serve". Known: start, test, check.']);
  });
});
