import { describe, expect, it } from 'vitest';
import { toolchainEnv, withoutNpm } from './environment.mjs';

describe('the environment of children', () => {
  it('keeps how to reach the registry and drops what else npm exports', () => {
    const env = withoutNpm({
      HOME: '/h',
      npm_config_registry: 'http://npm.example/',
      NPM_CONFIG_HTTPS_PROXY: 'http://web.example/',
      npm_config_cafile: '/ca.pem',
      'npm_config_//npm.example/:_authToken': 'secret',
      npm_config_nodedir: '/usr',
      npm_config_ignore_scripts: 'true',
      npm_lifecycle_event: 'start',
      npm_execpath: '/npm-cli.js',
    });
    expect(Object.keys(env).sort()).toEqual(
      ['HOME', 'NPM_CONFIG_HTTPS_PROXY', 'npm_config_//npm.example/:_authToken', 'npm_config_cafile', 'npm_config_registry'].sort(),
    );
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
