import { renameSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** The folder to build in: each build has its own, as several may run at once. Removes the folders of builds that were killed. */
export async function newBuildDir(root: string): Promise<string> {
  for (const name of await readdir(root)) {
    const pid = Number(/^dist\.(\d+)/.exec(name)?.[1] ?? NaN);
    if (pid === process.pid || (pid > 0 && !isRunning(pid))) await rm(join(root, name), { recursive: true, force: true });
  }
  return join(root, `dist.${process.pid}`);
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'; // it runs as another user
  }
}

/** Replaces the previous build as a whole, because commands may start and run meanwhile. */
export async function replaceBuild(built: string, dist: string): Promise<void> {
  const previous = `${built}.old`;
  let isReplaced: boolean;
  do {
    isReplaced = exchange(built, dist, previous);
    await rm(previous, { recursive: true, force: true });
  } while (!isReplaced);
}

/** Nothing comes between the two renames: there is no build until the second. @returns false if another build came first */
function exchange(built: string, dist: string, previous: string): boolean {
  try {
    renameSync(dist, previous);
  } catch {} // there is none
  try {
    renameSync(built, dist);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    return false;
  }
}
