import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withLock } from './lock.mjs';

let dir = '';
let lock = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'coffer-lock-'));
  lock = join(dir, 'lock');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** A process id that was in use a moment ago and no longer is. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
  await once(child, 'exit');
  return child.pid ?? 0;
}

describe('the lock of a checkout', () => {
  it('is released after the work, also when the work fails', async () => {
    expect(await withLock(lock, () => Promise.resolve(existsSync(lock)))).toBe(true);
    await expect(withLock(lock, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(existsSync(lock)).toBe(false);
  });

  it('lets one work at a time', async () => {
    let working = 0;
    let most = 0;
    const work = async () => {
      most = Math.max(most, ++working);
      await delay(20);
      working -= 1;
    };
    await Promise.all([withLock(lock, work), withLock(lock, work), withLock(lock, work)]);
    expect(most).toBe(1);
  });

  it('is taken over at once from a dead process of this machine', async () => {
    writeFileSync(lock, JSON.stringify({ pid: await deadPid(), host: hostname() }));
    expect(await withLock(lock, () => Promise.resolve(JSON.parse(readFileSync(lock, 'utf8')).pid))).toBe(process.pid);
  });

  it('is taken over from a holder that has fallen silent, be it elsewhere or killed before it wrote its name', async () => {
    for (const text of [JSON.stringify({ pid: 1, host: 'elsewhere' }), '', '{"pid":']) {
      writeFileSync(lock, text);
      expect(await withLock(lock, () => Promise.resolve('mine'), { silenceMs: 300 })).toBe('mine');
    }
  });

  it('is not left behind by a command that found the disk full', async () => {
    const script = `
      import fs from 'node:fs';
      import { syncBuiltinESMExports } from 'node:module';
      fs.writeSync = () => {
        throw new Error('ENOSPC: no space left on device, write');
      };
      syncBuiltinESMExports();
      const { withLock } = await import(${JSON.stringify(new URL('lock.mjs', import.meta.url).href)});
      await withLock(${JSON.stringify(lock)}, async () => {}).catch((error) => process.stdout.write(error.message));`;
    const command = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: 'pipe' });
    expect(await text(command.stdout)).toContain('ENOSPC');
    expect(existsSync(lock)).toBe(false);
  });

  it('stays with a new holder that took it over a moment earlier', async () => {
    writeFileSync(lock, JSON.stringify({ pid: await deadPid(), host: hostname() }));
    const living = JSON.stringify({ pid: process.pid, host: hostname() });
    const script = `
      import fs from 'node:fs';
      import { syncBuiltinESMExports } from 'node:module';
      const { renameSync } = fs;
      fs.renameSync = (from, to) => {
        fs.writeFileSync(from, ${JSON.stringify(living)});
        renameSync(from, to);
      };
      syncBuiltinESMExports();
      const { withLock } = await import(${JSON.stringify(new URL('lock.mjs', import.meta.url).href)});
      await withLock(${JSON.stringify(lock)}, async () => console.log('mine'));`;
    const waiter = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: 'pipe' });
    let mine = '';
    waiter.stdout.on('data', (text) => (mine += String(text)));
    const ended = once(waiter, 'close');
    const [told] = await Promise.race([once(waiter.stderr, 'data'), ended]);
    expect(String(told)).toContain(`waiting for another Coffer command (process ${process.pid})`);
    expect([readFileSync(lock, 'utf8'), mine]).toEqual([living, '']);
    rmSync(lock);
    await ended;
    expect(mine).toBe('mine\n');
  });

  it('is respected while its holder lives, and freed when the holder is killed', async () => {
    const module = new URL('lock.mjs', import.meta.url).href;
    const script = `import(${JSON.stringify(module)}).then(({ withLock }) => withLock(${JSON.stringify(lock)}, async () => {
      console.log('held'); await new Promise((done) => setTimeout(done, 60_000)); }));`;
    const holder = spawn(process.execPath, ['--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(holder.stdout, 'data');
    let mine = false;
    const waiting = withLock(lock, () => Promise.resolve((mine = true)));
    await delay(600);
    expect(mine).toBe(false);
    holder.kill('SIGKILL');
    await waiting;
    expect(mine).toBe(true);
  });
});
