import { execFile } from 'node:child_process';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import type { Bench } from './bench.ts';
import { scratch } from './bench.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../../../', import.meta.url));

/**
 * A clone of this checkout in its current state: with uncommitted changes, but without anything that git ignores, so without
 * dependencies, build and toolchain.
 * @returns its folder
 */
export async function checkoutCopy(bench: Bench): Promise<string> {
  const target = join(await scratch(bench, 'checkout'), 'coffer');
  await run('git', ['clone', '--quiet', '--no-checkout', root, target]);
  const { stdout } = await run('git', ['-C', root, 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], { maxBuffer: 2 ** 26 });
  for (const file of new Set(stdout.split('\0').filter(Boolean))) {
    await cp(join(root, file), join(target, file), { verbatimSymlinks: true }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error; // deleted, but not committed
    });
  }
  await run('git', ['-C', target, 'reset', '--quiet']).catch(() => {}); // a repository without a commit has nothing to reset to
  return target;
}
