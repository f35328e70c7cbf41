import { appendFile, mkdtemp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

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

  /** A log with two pieces, left by a process that is gone. */
  async function left(): Promise<{ readonly part: string; readonly log: string }> {
    const log = (await PieceLog.open(target, head))!;
    await writeFile(log.partPath, Buffer.alloc(head.size));
    await log.add(3, 33);
    await log.add(7, 77);
    await log.close();
    return { part: log.partPath, log: `${log.partPath}.log` };
  }

  it('remembers what is there, of the same object only', async () => {
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

  it('takes no word for it that a killed process did not finish, and none without the bytes', async () => {
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

  it('is not shared with a process that runs', async () => {
    const { log } = await left();
    await writeFile(log, `${JSON.stringify(head)}\n${process.ppid}\n3 33\n`);
    expect(await PieceLog.open(target, head)).toBeUndefined();
  });

  it('is of the process that goes on with it', async () => {
    const { log } = await left();
    await writeFile(log, `${JSON.stringify(head)}\n${2 ** 31 - 1}\n3 33\n`); // of one that is gone
    await (await PieceLog.open(target, head))!.close();
    expect(await readFile(log, 'utf8')).toBe(`${JSON.stringify(head)}\n${process.pid}\n3 33\n`);
  });
});
