import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'coffer-supervisor-'));
  // A minimal server: logs each signal and ends some time after the first one.
  writeFileSync(
    join(dir, 'server.mjs'),
    `import { appendFileSync } from 'node:fs';
     const log = (line) => appendFileSync(process.env.LOG, line + '\\n');
     for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => { log(signal); setTimeout(() => { log('ended'); process.exit(3); }, 300); });
     setInterval(() => {}, 1000);
     log('up ' + process.pid);`,
  );
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Starts a minimal bootstrap as the leader of a process group, as a shell does. */
async function supervised(name: string) {
  const log = join(dir, `${name}.log`);
  writeFileSync(log, '');
  const script = `
    import { Supervisor } from ${JSON.stringify(new URL('supervisor.mjs', import.meta.url).href)};
    const env = { ...process.env, LOG: ${JSON.stringify(log)} };
    const options = { env, cwd: '.', show: true, signal: 'child', follow: true };
    const { code } = await new Supervisor().run(process.execPath, [${JSON.stringify(join(dir, 'server.mjs'))}], options);
    process.exit(code);`;
  const parent = spawn(process.execPath, ['--input-type=module', '--eval', script], { detached: true, stdio: 'ignore' });
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

  it('ends by itself when everything around it is killed', async () => {
    const { parent, lines } = await supervised('killed');
    process.kill(group(parent), 'SIGKILL');
    await until(() => lines().includes('ended'));
    expect(lines().slice(1)).toEqual(['SIGTERM', 'ended']);
  });
});
