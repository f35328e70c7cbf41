import { constants } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterEach, expect, it, vi } from 'vitest';

import * as clock from '../clock.ts';
import { Disk } from './disk.ts';

vi.mock(import('../clock.ts'), { spy: true });

const path = fileURLToPath(import.meta.url);

afterEach(() => {
  vi.restoreAllMocks();
});

it('makes calls synchronously, in threads while they are slow, and then synchronously again', async () => {
  let now = 0;
  let takes = 0;
  vi.spyOn(clock, 'monotonicMs').mockImplementation(() => (now += takes / 2));
  const disk = new Disk();
  const fd = await disk.open(path, constants.O_RDONLY);
  const answers: unknown[] = [];
  const stat = (): boolean => answers.push(disk.stat(fd)) > 0 && answers.at(-1) instanceof Promise;
  takes = 1000;
  expect(stat()).toBe(false); // one slow call alone is not enough
  takes = 4;
  const turns = Array.from({ length: 140 }, stat); // one call in seven is timed
  expect([turns[0], turns.at(-1)]).toEqual([false, true]);
  now += 1000;
  expect(stat()).toBe(false);
  await Promise.all(answers); // before the file is closed
  await disk.close(fd);
});

it('does not take an entry that cannot be looked at for none, in threads either', async () => {
  let now = 0;
  vi.spyOn(clock, 'monotonicMs').mockImplementation(() => (now += 2));
  const disk = new Disk();
  const tooLong = 'x'.repeat(300);
  const seen = new Set<unknown>();
  for (let turn = 0; turn < 140; turn++) {
    seen.add(await (async () => disk.find(tooLong))().catch(({ code }: NodeJS.ErrnoException) => code));
  }
  expect([...seen]).toEqual(['ENAMETOOLONG']);
  expect(await disk.find(`${path}.none`)).toBeUndefined();
  expect(await disk.find(join(path, 'none'))).toBeUndefined();
});

it('fails as the calls do', async () => {
  const disk = new Disk();
  await expect(async () => disk.open(`${path}.none`, 'r')).rejects.toMatchObject({ code: 'ENOENT' });
});
