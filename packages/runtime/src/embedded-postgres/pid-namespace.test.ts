import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import postgres from 'postgres';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { StartupError } from '../startup-error.ts';
import { startEmbeddedPostgres } from './embedded-postgres.ts';

let dir = '';
let dataDir = '';
let cleanUp: (() => unknown)[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'coffer-namespace-'));
  await chmod(dir, 0o755);
  dataDir = join(dir, 'data');
  cleanUp = [];
});
afterEach(async () => {
  for (const step of cleanUp.toReversed()) await step();
  await rm(dir, { recursive: true, force: true, maxRetries: 5 });
});

const refusal = /^Another container or machine runs the PostgreSQL of .*set COFFER_DATA_DIR to another directory, or DATABASE_URL/;

describe('a server whose pid is not visible', () => {
  it('is left alone, and not shared', async () => {
    const server = await startEmbeddedPostgres({ dataDir });
    cleanUp.push(() => server.stop());
    const file = join(dataDir, 'postgres/data/postmaster.pid');
    const own = await readFile(file, 'utf8');
    // What another pid namespace sees: a pid of no process, or of a stranger.
    for (const pid of [4_194_305, process.pid]) {
      const foreign = own.replace(/^\d+/, String(pid));
      await writeFile(file, foreign);
      const starting = startEmbeddedPostgres({ dataDir });
      await expect(starting).rejects.toThrow(StartupError);
      await expect(starting).rejects.toThrow(refusal);
      expect(await readFile(file, 'utf8')).toBe(foreign);
    }
    await writeFile(file, own);
    const sql = postgres({ ...server.connection, max: 1 });
    cleanUp.push(() => sql.end({ timeout: 1 }));
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
  });
});

const namespace = ['--pid', '--ipc', '--fork', '--kill-child', '--mount-proc'];

// Only root on Linux can create a pid namespace, and root in a container with Docker's defaults cannot either.
describe.runIf(spawnSync('unshare', [...namespace, 'true']).status === 0)('a server in another pid namespace', () => {
  const owner = `
    import { startEmbeddedPostgres } from ${JSON.stringify(new URL('./embedded-postgres.ts', import.meta.url).href)};
    const server = await startEmbeddedPostgres({ dataDir: process.argv[1] });
    console.log(server.found);
    process.stdin.once('end', () => server.stop()).resume();`;

  /** Whether a process in any namespace uses the data directory. */
  async function isAnywhere(): Promise<boolean> {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const commands = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
    return commands.some((command) => command.includes(dataDir));
  }

  async function startContainer(): Promise<{ readonly found: string; readonly end: (signal?: 'SIGKILL') => Promise<void> }> {
    const child = spawn(
      'unshare',
      [...namespace, process.execPath, '--conditions=@coffer/source', '--input-type=module', '--eval', owner, dataDir],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
    const exited = once(child, 'exit');
    cleanUp.push(async () => {
      child.kill('SIGKILL');
      await exited;
    });
    const [line] = (await Promise.race([once(child.stdout, 'data'), exited.then(() => ['ended'])])) as [Buffer | string];
    return {
      found: String(line).trim(),
      async end(signal) {
        if (signal === undefined) child.stdin.end();
        else child.kill(signal);
        await exited;
        await expect.poll(isAnywhere, { timeout: 20_000 }).toBe(false);
      },
    };
  }

  it('keeps its data directory to itself until it ends', async () => {
    const container = await startContainer();
    expect(container.found).toBe('nothing');
    await expect(startEmbeddedPostgres({ dataDir })).rejects.toThrow(refusal);
    await container.end();
    const server = await startEmbeddedPostgres({ dataDir });
    expect(server.found).toBe('stopped');
    await server.stop();
  });

  it('is no obstacle once its container was killed', async () => {
    const container = await startContainer();
    await container.end('SIGKILL');
    const server = await startEmbeddedPostgres({ dataDir });
    expect(server.found).toBe('stopped');
    await server.stop();
  });
});
