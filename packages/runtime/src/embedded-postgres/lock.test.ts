import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { withLock } from './lock.ts';

describe('withLock', () => {
  let dir = '';
  let path = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'coffer-lock-'));
    path = join(dir, 'lock');
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  it('lets one in at a time, also within a process, and the next one when somebody fails', async () => {
    let inside = 0;
    const visit = async (n: number): Promise<number> =>
      withLock(path, { timeoutMs: 10_000 }, async () => {
        inside += 1;
        expect(inside).toBe(1);
        await delay(5);
        inside -= 1;
        if (n % 2 === 1) throw new Error('failed inside');
        return n;
      });
    const results = await Promise.allSettled([0, 1, 2, 3, 4, 5].map(visit));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled', 'rejected']);
  });

  it.skipIf(process.platform === 'win32')('lets no other user read, and so lock, its file', async () => {
    const mode = async (): Promise<number> => withLock(path, { timeoutMs: 1000 }, async () => (await stat(path)).mode & 0o777);
    expect(await mode()).toBe(0o600);
    await chmod(path, 0o644);
    expect(await mode()).toBe(0o600);
  });

  it('needs no room on the disk, which may be full', async () => {
    await withLock(path, { timeoutMs: 1000 }, async () => {
      expect(await readdir(dir)).toEqual(['lock']);
      expect((await stat(path)).size).toBe(0);
    });
  });

  it('keeps other processes out until its holder is gone, however he goes', async () => {
    const script = `import { withLock } from ${JSON.stringify(fileURLToPath(new URL('./lock.ts', import.meta.url)))};
      await withLock(${JSON.stringify(path)}, { timeoutMs: 1000 }, () => new Promise((resolve) => { console.log('locked'); setTimeout(resolve, 100_000); }));`;
    const holder = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await new Promise((resolve) => holder.stdout.once('data', resolve));
      await expect(withLock(path, { timeoutMs: 50 }, async () => 'in')).rejects.toThrow(/is locked/);
      const interrupt = new AbortController();
      const interrupted = withLock(path, { timeoutMs: 10_000, signal: interrupt.signal }, async () => 'in');
      interrupt.abort(new Error('not now'));
      await expect(interrupted).rejects.toThrow('not now');
      const waiting = withLock(path, { timeoutMs: 10_000 }, async () => 'in');
      holder.kill('SIGKILL');
      expect(await waiting).toBe('in');
    } finally {
      holder.kill('SIGKILL');
    }
  });
});
