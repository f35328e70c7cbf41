import { join } from 'node:path';
import { BootstrapError, print } from './messages.mjs';
import { installDependencies } from './install.mjs';
import { withLock } from './lock.mjs';
import { toolchain } from './toolchain.mjs';

/** Shorter builds are not announced. */
const announceAfterMs = 1_000;

/**
 * Prepares the checkout to run its code: tools, dependencies, build. One process at a time. Each step does nothing if it is already
 * done, so a warm run costs one empty turbo run.
 * @param {{ repo: import('./repository.mjs').Repository, supervisor: import('./supervisor.mjs').Supervisor, build: readonly string[]
 * }} what
 *   `build`: turbo's filters; none builds everything
 * @returns {Promise<import('./toolchain.mjs').Toolchain>}
 */
export function prepare({ repo, supervisor, build }) {
  return withLock(join(repo.cache, 'lock'), async () => {
    const tools = await toolchain(repo, supervisor);
    await installDependencies(repo, tools, supervisor);
    const { root } = repo;
    const announce = setTimeout(() => print('building'), announceAfterMs);
    const args = ['run', 'build', ...build, '--output-logs=errors-only', '--ui=stream'];
    const { code, output } = await supervisor.run(join(root, 'node_modules/.bin/turbo'), args, {
      env: tools.env,
      cwd: root,
      graceMs: 3_000,
    });
    clearTimeout(announce);
    if (code === 0) return tools;
    process.stderr.write(output);
    throw new BootstrapError('Coffer did not build; the errors are above.');
  });
}
