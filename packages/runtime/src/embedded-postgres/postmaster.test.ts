import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';

import { findBinaries } from './binaries.ts';
import { createCluster } from './create-cluster.ts';
import { identityFor } from './identity.ts';
import { findRunning, startPostmaster, stopPostmaster } from './postmaster.ts';
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

describe('a server that another process left', () => {
  let home = '';
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'coffer-postmaster-'));
  });
  afterEach(() => rm(home, { recursive: true, force: true, maxRetries: 5 }));

  /** Waits for one that writes a line to its log again and again, and then ends. */
  async function wait(status: string, line: string, lines: number): ReturnType<typeof findRunning> {
    const files = { data: join(home, 'data'), log: join(home, 'log'), socketDir: join(home, 'socket') };
    const script = `for line in $(seq ${lines}); do echo "${line}" >>"$2"; sleep 0.2; done`;
    const server = spawn('/bin/sh', ['-c', script, 'bin/postgres', files.data, files.log], { stdio: 'ignore' });
    onTestFinished(() => void server.kill());
    await mkdir(files.data);
    await writeFile(join(files.data, 'postmaster.pid'), `${server.pid}\n${files.data}\n0\n5432\n${files.socketDir}\n\n\n${status}\n`);
    return findRunning(files, undefined, { startMs: 1_000, silenceMs: 5_000 });
  }

  it('is waited for while it recovers, and its log goes on', async () => {
    expect(await wait('starting', 'LOG: redo in progress', 20)).toBe(undefined); // it has ended
  });

  it('is not waited for much longer while it stops, and only tells whom it refuses', async () => {
    await expect(wait('stopping', 'FATAL: the database system is shutting down', 500)).rejects.toThrow('does not answer');
  });
});
