import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunOptions } from './supervisor.mjs';

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'coffer-supervisor-'));
  // A minimal server: logs each signal and ends some time after the first one, unless it hangs.
  writeFileSync(
    join(dir, 'server.mjs'),
    `import { appendFileSync } from 'node:fs';
     const log = (line) => appendFileSync(process.env.LOG, line + '\\n');
     for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => { log(signal); if (!process.env.HANGS) setTimeout(() => { log('ended'); process.exit(3); }, 300); });
     setInterval(() => {}, 1000);
     log('up ' + process.pid);`,
  );
  // Runs the server as a build runs its tasks: waits for it, and passes no signal on.
  writeFileSync(
    join(dir, 'build.mjs'),
    `import { spawn } from 'node:child_process';
     for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});
     spawn(process.execPath, [${JSON.stringify(join(dir, 'server.mjs'))}], { stdio: ['ignore', 'inherit', 'ignore'] }).on('exit', (code) => process.exit(code));`,
  );
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Supervised {
  readonly program?: 'server' | 'build';
  readonly options?: Partial<RunOptions>;
  readonly hangs?: string;
}

/** Starts a minimal bootstrap as the leader of a process group, as a shell does. */
async function supervised(name: string, { program = 'server', options = {}, hangs = '' }: Supervised = {}) {
  const log = join(dir, `${name}.log`);
  writeFileSync(log, '');
  const script = `
    import { Supervisor } from ${JSON.stringify(new URL('supervisor.mjs', import.meta.url).href)};
    const env = { ...process.env, LOG: ${JSON.stringify(log)}, HANGS: ${JSON.stringify(hangs)} };
    const options = { env, cwd: '.', show: true, ...${JSON.stringify({ signal: 'child', follow: true, ...options })} };
    const running = new Supervisor().run(process.execPath, [${JSON.stringify(join(dir, `${program}.mjs`))}], options);
    process.exit(await running.then(({ code }) => code, ({ exitCode }) => exitCode));`;
  const parent = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  parent.stdout.resume();
  const lines = () => readFileSync(log, 'utf8').trim().split('\n');
  await until(() => lines()[0]?.startsWith('up ') === true);
  return { parent, lines };
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 400) throw new Error('It did not come to pass within 10 s.');
    await delay(25);
  }
}

const exitOf = (child: ChildProcess) => new Promise((fulfil) => child.once('exit', (code, signal) => fulfil(code ?? signal)));
const group = (child: ChildProcess) => -(child.pid ?? Number.NaN);

describe('a supervised server', () => {
  it('hears of a Ctrl-C once, though the whole group gets it and npm repeats it, and its exit status is passed on', async () => {
    const { parent, lines } = await supervised('ctrl-c');
    const exit = exitOf(parent);
    process.kill(group(parent), 'SIGINT');
    await delay(50);
    parent.kill('SIGINT');
    expect(await exit).toBe(3);
    expect(lines().slice(1)).toEqual(['SIGINT', 'ended']);
  });

  it.each(['SIGTERM', 'SIGHUP'] as const)('is told of a %s to its parent alone', async (signal) => {
    const { parent, lines } = await supervised(signal);
    const exit = exitOf(parent);
    parent.kill(signal);
    expect(await exit).toBe(3);
    expect(lines().slice(1)).toEqual([signal, 'ended']);
  });

  it('is killed by the third Ctrl-C', async () => {
    const { parent, lines } = await supervised('hung', { hangs: 'yes' });
    const exit = exitOf(parent);
    for (const count of [1, 2]) {
      parent.kill('SIGINT');
      await until(() => lines().length === 1 + count);
      await delay(1_100); // within a second it would count as the same one
    }
    parent.kill('SIGINT');
    expect(await exit).toBe(130);
    expect(lines().slice(1)).toEqual(['SIGINT', 'SIGINT']);
  });

  it('ends by itself when everything around it is killed', async () => {
    const { parent, lines } = await supervised('killed');
    process.kill(group(parent), 'SIGKILL');
    await until(() => lines().includes('ended'));
    expect(lines().slice(1)).toEqual(['SIGTERM', 'ended']);
  });
});

describe('a supervised build', () => {
  it('is told to stop in all its processes, and then the signal is the exit status', async () => {
    const { parent, lines } = await supervised('build', { program: 'build', options: { signal: 'group', follow: false, graceMs: 10_000 } });
    const exit = exitOf(parent);
    parent.kill('SIGTERM');
    expect(await exit).toBe(143);
    expect(lines().slice(1)).toEqual(['SIGTERM', 'ended']);
  });

  it('is killed in all its processes when it does not stop in time', async () => {
    const options = { signal: 'group', follow: false, graceMs: 300 } as const;
    const { parent, lines } = await supervised('hung-build', { program: 'build', options, hangs: 'yes' });
    const closed = once(parent, 'close'); // when no process has its output any more
    parent.kill('SIGTERM');
    expect(await closed).toEqual([143, null]);
    expect(lines().slice(1)).toEqual(['SIGTERM']);
  });
});
