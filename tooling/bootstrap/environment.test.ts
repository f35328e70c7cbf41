import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { downloadEnv, toolchainEnv, withoutNpm } from './environment.mjs';

describe('the environment of children', () => {
  it('keeps how to reach the registry and drops what else npm exports', () => {
    const env = withoutNpm({
      HOME: '/h',
      npm_config_registry: 'http://npm.example/',
      NPM_CONFIG_HTTPS_PROXY: 'http://web.example/',
      npm_config_cafile: '/ca.pem',
      NPM_CONFIG_USERCONFIG: '/ci/.npmrc',
      npm_config_cache: '/ci/npm',
      'npm_config_//npm.example/:_authToken': 'secret',
      npm_config_nodedir: '/usr',
      npm_config_ignore_scripts: 'true',
      npm_lifecycle_event: 'start',
      npm_execpath: '/npm-cli.js',
    });
    expect(Object.keys(env).sort()).toEqual(
      [
        'HOME',
        'NPM_CONFIG_HTTPS_PROXY',
        'NPM_CONFIG_USERCONFIG',
        'npm_config_//npm.example/:_authToken',
        'npm_config_cache',
        'npm_config_cafile',
        'npm_config_registry',
      ].sort(),
    );
  });

  it('has a home to download to, also for a user who has none', () => {
    const dir = mkdtempSync(join(tmpdir(), 'coffer-home-'));
    const env = { HOME: dir, npm_config_cache: join(dir, '.npm') };
    expect(downloadEnv(env, join(dir, 'tools'), dir)).toEqual(env);
    const home = join(dir, 'nonexistent');
    const instead = join(dir, 'tools/home');
    expect(downloadEnv({ A: '1', npm_config_cache: join(home, '.npm') }, join(dir, 'tools'), home)).toEqual({ A: '1', HOME: instead });
    expect(existsSync(instead)).toBe(true);
    expect(downloadEnv({ npm_config_cache: '/ci/npm' }, join(dir, 'tools'), home)).toEqual({ HOME: instead, npm_config_cache: '/ci/npm' });
    rmSync(dir, { recursive: true });
  });

  it('puts the toolchain first on PATH, names its own headers and hands the registry to pnpm', () => {
    const env = toolchainEnv(
      { PATH: '/bin', npm_config_registry: 'http://npm.example/' },
      { root: '/r', node: '/n/bin/node', pnpmDir: '/p' },
    );
    expect(env['PATH']).toBe('/n/bin:/p:/r/node_modules/.bin:/bin');
    expect(env['npm_config_nodedir']).toBe('/n');
    expect(env['PNPM_CONFIG_REGISTRY']).toBe('http://npm.example/');
  });
});
