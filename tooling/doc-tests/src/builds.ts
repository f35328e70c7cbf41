import { execFile } from 'node:child_process';
import { existsSync, globSync, statSync } from 'node:fs';
import { promisify } from 'node:util';

import { pathOf } from './documents.ts';

/** Builds the server's bundle unless it is newer than all of its sources. */
export async function buildApi(): Promise<void> {
  await build('apps/api', 'dist/main.js');
}

/** The same for the CLI. */
export async function buildCli(): Promise<void> {
  await build('apps/cli', 'oclif.manifest.json');
}

async function build(app: string, result: string): Promise<void> {
  const sources = [`${app}/build.mjs`, `${app}/build/*`, `${app}/src/**/*.ts`, 'packages/*/src/**/*.ts', 'packages/*/drizzle/**'];
  const newest = Math.max(...globSync(sources, { cwd: pathOf('.') }).map((path) => statSync(pathOf(path)).mtimeMs));
  const built = pathOf(`${app}/${result}`);
  if (existsSync(built) && statSync(built).mtimeMs > newest) return;
  await promisify(execFile)(process.execPath, ['build.mjs'], { cwd: pathOf(app) });
}
