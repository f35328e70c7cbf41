import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, chmod, mkdtemp, readFile, readdir, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';

import { PartFile } from './part-file.ts';
import { PieceLog } from './piece-log.ts';

const head = { bucket: 'b', key: 'k', etag: 'e', size: 100, pieceSize: 10 };

describe('PieceLog', () => {
  let folder: string;
  let target: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'coffer-pieces-'));
    target = join(folder, 'target');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  /** A log with two pieces, left by a process that has ended. */
  async function left(): Promise<{ readonly part: string; readonly log: string }> {
    const log = (await PieceLog.open(target, head))!;
    await writeFile(log.partPath, Buffer.alloc(head.size));
    await log.add(3, 33);
    await log.add(7, 77);
    await log.close();
    return { part: log.partPath, log: `${log.partPath}.log` };
  }

  it('remembers the pieces that have arrived, for the same object only', async () => {
    await left();
    const again = (await PieceLog.open(target, head))!;
    expect([...again.done]).toEqual([
      [3, 33],
      [7, 77],
    ]);
    await again.add(8, 0);
    await again.close();
    const other = (await PieceLog.open(target, { ...head, etag: 'another' }))!;
    expect([...other.done]).toEqual([]);
    await other.remove();
    expect(await readdir(folder)).toEqual([]);
  });

  it('ignores a line that a killed process left unfinished, and pieces whose bytes are missing', async () => {
    const { part, log } = await left();
    await appendFile(log, '9 9');
    const unfinished = (await PieceLog.open(target, head))!;
    expect([...unfinished.done.keys()]).toEqual([3, 7]);
    await unfinished.close();
    await truncate(part, 50);
    const shorter = (await PieceLog.open(target, head))!;
    expect([...shorter.done]).toEqual([]);
    await shorter.close();
  });

  it.skipIf(process.platform === 'win32')('continues with nothing that another user may have put there', async () => {
    const { part, log } = await left();
    const self = process.geteuid!();
    const me = vi.spyOn(process, 'geteuid').mockReturnValue(self + 1);
    onTestFinished(() => me.mockRestore());
    expect(await PieceLog.open(target, head)).toBeUndefined();
    await expect(PartFile.open(target, part)).rejects.toMatchObject({ code: 'unsafe_path' });
    // A log of ours beside a part file that is not.
    me.mockReturnValueOnce(self);
    expect(await PieceLog.open(target, head)).toBeUndefined();
    me.mockRestore();
    expect((await readFile(log, 'utf8')).trimEnd().split('\n')).toHaveLength(4); // nobody has claimed it
    const own = (await PieceLog.open(target, head))!;
    expect([...own.done.keys()]).toEqual([3, 7]);
    await own.close();
  });

  it.runIf(process.getuid?.() === 0)('is not opened beside files of another user that deny access to others', async () => {
    const { part, log } = await left();
    await chmod(dirname(part), 0o777);
    await chmod(log, 0o600);
    process.seteuid!(65_534);
    try {
      expect(await PieceLog.open(target, head)).toBeUndefined();
      const fresh = (await PieceLog.open(`${target}-2`, head))!;
      expect([...fresh.done]).toEqual([]);
      await fresh.remove();
    } finally {
      process.seteuid!(0);
    }
  });

  it('leaves no log beside bytes of another user', async () => {
    const { part, log } = await left();
    await rm(log);
    const me = vi.spyOn(process, 'geteuid').mockReturnValue(process.geteuid!() + 1);
    onTestFinished(() => me.mockRestore());
    expect(await PieceLog.open(target, head)).toBeUndefined();
    expect([existsSync(log), existsSync(part)]).toEqual([false, true]);
  });

  it('follows no link in its place, which another user may have put there', async () => {
    const { log } = await left();
    await rm(log);
    const mine = join(folder, 'mine');
    await writeFile(mine, 'mine');
    await symlink(mine, log);
    await expect(PieceLog.open(target, head)).rejects.toMatchObject({ code: 'ELOOP' });
    expect(await readFile(mine, 'utf8')).toBe('mine');
  });

  it('is not shared with a process that runs', async () => {
    const { log } = await left();
    await writeFile(log, `${process.ppid} ${JSON.stringify(head)}\n${process.ppid} 3 33\n`);
    expect(await PieceLog.open(target, head)).toBeUndefined();
  });

  // In a container, the first process may never collect the others.
  it.runIf(existsSync('/proc/self/stat'))('does not belong to a killed process that its parent has not collected', async () => {
    const parent = spawn('sh', ['-c', 'sleep 60 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void parent.kill());
    const { value: gone = '' } = (await createInterface({ input: parent.stdout })[Symbol.asyncIterator]().next()) as { value?: string };
    await expect.poll(() => readFile(`/proc/${parent.pid}/comm`, 'utf8')).toBe('sleep\n'); // a shell would collect it
    process.kill(Number(gone), 'SIGKILL');
    await expect.poll(() => readFile(`/proc/${gone}/stat`, 'utf8')).toContain(') Z ');
    const { log } = await left();
    await writeFile(log, `${gone} ${JSON.stringify(head)}\n${gone} 3 33\n`);
    const again = (await PieceLog.open(target, head))!;
    expect([...again.done]).toEqual([[3, 33]]);
    await again.close();
  });

  it('belongs to the process that continues it', async () => {
    const { log } = await left();
    const gone = 2 ** 31 - 1;
    await writeFile(log, `${gone} ${JSON.stringify(head)}\n${gone} 3 33\n`);
    const again = (await PieceLog.open(target, head))!;
    expect([...again.done]).toEqual([[3, 33]]);
    await again.close();
    expect(await readFile(log, 'utf8')).toMatch(new RegExp(`\n${process.pid} .+\n$`));
  });

  it('ignores the lines of a process that wrote about another object', async () => {
    const { log } = await left();
    const gone = 2 ** 31 - 1;
    await appendFile(log, `${gone} ${JSON.stringify({ ...head, etag: 'another' })}\n${gone} 4 44\n`);
    const again = (await PieceLog.open(target, head))!;
    expect([...again.done.keys()]).toEqual([3, 7]);
    await again.close();
  });

  it('belongs to one process only when several begin at the same moment', async () => {
    const count = 40;
    const script = `
      const { PieceLog } = await import(${JSON.stringify(new URL('piece-log.ts', import.meta.url).href)});
      const { once } = await import('node:events');
      console.log('ready');
      await once(process.stdin, 'data');
      const own = new Map(); // Node ends a process that loses a file
      for (let index = 0; index < ${count}; index++) {
        const log = await PieceLog.open(${JSON.stringify(target)} + index, ${JSON.stringify(head)});
        if (log !== undefined) own.set(index, log);
      }
      console.log(JSON.stringify([...own.keys()]));
      await once(process.stdin, 'end');
      for (const log of own.values()) await log.close();
    `;
    const children = Array.from({ length: 3 }, () =>
      spawn(process.execPath, ['--conditions=@coffer/source', '--input-type=module', '--eval', script], {
        stdio: ['pipe', 'pipe', 'inherit'],
      }),
    );
    const lines = children.map(({ stdout }) => createInterface({ input: stdout })[Symbol.asyncIterator]());
    for (const line of lines) expect(await line.next()).toMatchObject({ value: 'ready' });
    for (const { stdin } of children) stdin.write('go');
    const owned = await Promise.all(lines.map(async (line) => JSON.parse((await line.next()).value as string) as number[]));
    for (const { stdin } of children) stdin.end();
    expect(owned.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, index) => index));
  });
});
