import { chmod, cp, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { findBinaries } from './binaries.ts';
import { createCluster } from './create-cluster.ts';
import { capabilityOf, identityFor } from './identity.ts';
import { startPostmaster, stopPostmaster } from './postmaster.ts';
import { socketDirIn } from './socket-dir.ts';

describe('identityFor', () => {
  let dir = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'coffer-identity-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }));

  it('runs programs and data that lie under a folder which only its owner enters', async () => {
    await chmod(dir, 0o700);
    await cp(dirname(dirname(findBinaries().postgres)), join(dir, 'native'), { recursive: true, verbatimSymlinks: true });
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
});

describe('capabilityOf', () => {
  it.each([
    ['000001ffffffffff', 'dac_read_search'],
    ['00000000a80425fb', 'dac_override'], // Docker's default set
    ['0000000000000004', 'dac_read_search'],
    ['0000000000000000', undefined],
  ])('finds in CapEff %s: %s', (mask, expected) => {
    expect(capabilityOf(`Name:\tnode\nCapPrm:\t0000000000000000\nCapEff:\t${mask}\nCapBnd:\tffffffffffffffff\n`)).toBe(expected);
  });

  it('finds no capability where the system reports none', () => {
    expect(capabilityOf('')).toBeUndefined();
  });
});
