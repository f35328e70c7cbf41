import { readFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BootstrapError } from './messages.mjs';

/**
 * @typedef {object} Repository
 * @property {string} root absolute path of the checkout
 * @property {string} cache where downloaded tools are kept; git ignores it
 * @property {string} nodeVersion the pinned Node, such as `26.10.0`
 * @property {string} nodeRange the oldest Node that the code runs on, such as `>=22.22.1`
 * @property {string} pnpmVersion the pinned pnpm
 */

/**
 * What the checkout around this folder pins.
 * @param {string} [root]
 * @returns {Repository}
 */
export function repository(root = resolve(dirname(fileURLToPath(import.meta.url)), '../..')) {
  if (root.includes(delimiter)) {
    throw new BootstrapError(`Coffer does not build in ${root}: PATH holds no folder with a "${delimiter}" in its name.`, 'Rename it');
  }
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const pnpmVersion = /^pnpm@(\d+\.\d+\.\d+)/.exec(manifest.packageManager ?? '')?.[1];
  if (!pnpmVersion) throw new BootstrapError('The packageManager field of package.json names no exact pnpm version.');
  return {
    root,
    cache: join(root, '.toolchain'),
    nodeVersion: readFileSync(join(root, '.node-version'), 'utf8').trim(),
    nodeRange: manifest.engines.node,
    pnpmVersion,
  };
}

/**
 * Whether a Node version is in a range of the only form that engines.node uses, `>=major.minor.patch`.
 * @param {string} version
 * @param {string} range
 */
export function satisfies(version, range) {
  const [numbers, least] = [version, range].map((text) => (text.match(/\d+/g) ?? []).map(Number));
  for (const [index, lowest] of (least ?? []).entries()) {
    const number = numbers?.[index] ?? 0;
    if (number !== lowest) return number > lowest;
  }
  return true;
}
