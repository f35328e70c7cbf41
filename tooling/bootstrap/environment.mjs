import { accessSync, constants, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, delimiter, join, resolve } from 'node:path';

/**
 * npm settings that children keep: how to reach a registry, and where that is configured. Everything else that npm exports to its
 * scripts describes npm's own run and misleads pnpm, node-gyp and nested npm (nodedir would name the headers of the old Node,
 * ignore-scripts would skip our scripts).
 */
const keptVariables =
  /^npm_config_((user|global)config|cache|registry|proxy|https?[-_]proxy|no[-_]?proxy|cafile|ca|cert|key|fetch[-_].*|strict[-_]ssl|\/\/.*|@.*:registry)$/i;

/**
 * A copy of the environment without npm's additions.
 * @param {NodeJS.ProcessEnv} env
 * @returns {NodeJS.ProcessEnv}
 */
export function withoutNpm(env) {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^npm_/i.test(name) || keptVariables.test(name)));
}

/**
 * The environment for downloads. npm and pnpm cache downloads below the home directory; a user without a writable one, such as a
 * system account, gets one beside the tools.
 * @param {NodeJS.ProcessEnv} env already without npm's additions
 * @param {string} cache
 * @param {string} [home]
 * @returns {NodeJS.ProcessEnv}
 */
export function downloadEnv(env, cache, home = homedir()) {
  if (isWritable(home)) return env;
  const fallbackHome = join(cache, 'home');
  mkdirSync(fallbackHome, { recursive: true });
  const isElsewhere = ([name = '', value = '']) => !/^npm_config_cache$/i.test(name) || dirname(value) !== home;
  return { ...Object.fromEntries(Object.entries(env).filter(isElsewhere)), HOME: fallbackHome };
}

/** @param {string} path */
function isWritable(path) {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * The environment in which everything after the downloads runs: our Node and pnpm come first on PATH.
 * @param {NodeJS.ProcessEnv} env already without npm's additions
 * @param {{ root: string, node: string, pnpmDir: string }} tools
 * @returns {NodeJS.ProcessEnv}
 */
export function toolchainEnv(env, { root, node, pnpmDir }) {
  const registry = env['npm_config_registry'];
  return {
    ...env,
    PATH: [dirname(node), pnpmDir, join(root, 'node_modules/.bin'), env['PATH']].filter(Boolean).join(delimiter),
    // Add-ons are compiled against the headers of the Node that loads them.
    npm_config_nodedir: resolve(dirname(node), '..'),
    // Otherwise `pnpm run` would install by itself whenever a manifest is newer than the lockfile; only installDependencies decides that.
    PNPM_CONFIG_VERIFY_DEPS_BEFORE_RUN: 'false',
    ...(registry === undefined ? {} : { PNPM_CONFIG_REGISTRY: registry }),
    TURBO_TELEMETRY_DISABLED: '1',
    TURBO_NO_UPDATE_NOTIFIER: '1',
    DO_NOT_TRACK: '1',
  };
}
