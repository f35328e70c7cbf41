import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { findBinaries } from './binaries.ts';
import { createCluster } from './create-cluster.ts';
import { identityFor } from './identity.ts';
import { startPostmaster, stopPostmaster } from './postmaster.ts';
import { socketDirIn } from './socket-dir.ts';

describe('the start of a server', () => {
  let home = '';
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'coffer-postmaster-'));
    await chmod(home, 0o755);
  });
  afterEach(() => rm(home, { recursive: true, force: true, maxRetries: 5 }));

  const patience = { startMs: 2_000, silenceMs: 3_000 };

  async function start(script: string): ReturnType<typeof startPostmaster> {
    const binaries = findBinaries();
    const data = join(home, 'data');
    const identity = await identityFor(data, [binaries.postgres, home]);
    await createCluster(data, binaries, identity);
    const postgres = join(home, 'postgres');
    await writeFile(postgres, `#!/bin/sh\n${script.replace('POSTGRES', `"${binaries.postgres}" "$@"`)}\n`);
    await chmod(postgres, 0o755);
    const files = { data, log: join(home, 'log'), socketDir: await socketDirIn(home, identity) };
    return startPostmaster(postgres, files, identity, undefined, patience);
  }

  it('may take any time while its log goes on, as during a recovery', async () => {
    const server = await start('for step in 1 2 3 4 5 6; do echo "LOG: redo in progress"; sleep 1; done; exec POSTGRES');
    expect(await stopPostmaster(server)).toBe(true);
  });

  it('is given up once it says nothing any more', async () => {
    const reason = /was not ready after 2 s, and says nothing any more; its log is .*log\.$/;
    await expect(start('echo "LOG: starting"; exec sleep 60')).rejects.toThrow(reason);
  });
});
