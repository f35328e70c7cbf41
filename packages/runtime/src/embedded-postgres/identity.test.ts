import { execFile, spawn, spawnSync } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { findBinaries } from './binaries.ts';
import { createCluster } from './create-cluster.ts';
import { capabilitiesOf, identityFor } from './identity.ts';
import { startPostmaster, stopPostmaster } from './postmaster.ts';
import { socketDirIn } from './socket-dir.ts';

describe('identityFor', () => {
  let dir = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'coffer-identity-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }));

  it.each([
    ['lie under a folder which only its owner enters', 'u=rwx'],
    ['were installed under a umask of 077', 'go='],
  ])('runs programs and data that %s', async (_what, modes) => {
    await chmod(dir, 0o700);
    await cp(dirname(dirname(findBinaries().postgres)), join(dir, 'native'), { recursive: true, verbatimSymlinks: true });
    await promisify(execFile)('chmod', ['-R', modes, join(dir, 'native')]);
    const binaries = { initdb: join(dir, 'native/bin/initdb'), postgres: join(dir, 'native/bin/postgres') };
    const home = join(dir, 'home');
    const data = join(home, 'data');
    await mkdir(home, { mode: 0o711 });
    const identity = await identityFor(data, [binaries.postgres, home]);
    await createCluster(data, binaries, identity);
    const server = await startPostmaster(
      binaries.postgres,
      { data, log: join(home, 'log'), socketDir: await socketDirIn(home, identity) },
      identity,
    );
    expect((await stat(data)).uid).not.toBe(0);
    expect(await stopPostmaster(server)).toBe(true);
  });

  /** What it says to a process that the shell command `before` has limited. */
  async function refusalAfter(before: readonly [string, ...string[]]): Promise<string> {
    const script = `
      import { identityFor } from ${JSON.stringify(new URL('./identity.ts', import.meta.url).href)};
      await identityFor('/nowhere/data', ['/']).catch((error) => console.log(error.name, error.message));`;
    const [file, ...args] = [...before, process.execPath, '--conditions=@coffer/source', '--input-type=module', '--eval', script];
    return (await promisify(execFile)(file, args)).stdout;
  }

  it.runIf(spawnSync('unshare', ['--map-root-user', 'true']).status === 0)('says where root is the only user', async () => {
    expect(await refusalAfter(['unshare', '--map-root-user'])).toMatch(
      /^StartupError The embedded PostgreSQL refuses to run as root, .* user namespace .*DATABASE_URL/,
    );
  });

  it.runIf(process.getuid?.() === 0)('says which limit keeps the other user from starting anything', async () => {
    const first = spawn('sleep', ['60'], { uid: 65_534, gid: 65_534, stdio: 'ignore' });
    try {
      expect(await refusalAfter(['prlimit', '--nproc=0'])).toMatch(
        /^StartupError .*\(uid 65534\).* \(spawn .*EAGAIN\): check the limits .*DATABASE_URL/,
      );
    } finally {
      first.kill();
    }
  });
});

describe('capabilitiesOf', () => {
  it.each([
    ['000001ffffffffff', ['dac_read_search', 'dac_override']],
    ['00000000a80425fb', ['dac_override']], // Docker's default set
    ['0000000000000004', ['dac_read_search']],
    ['0000000000000000', []],
  ])('finds in CapEff %s: %j', (mask, expected) => {
    expect(capabilitiesOf(`Name:\tnode\nCapPrm:\t0000000000000000\nCapEff:\t${mask}\nCapBnd:\tffffffffffffffff\n`)).toEqual(expected);
  });

  it('finds no capability where the system reports none', () => {
    expect(capabilitiesOf('')).toEqual([]);
  });
});
