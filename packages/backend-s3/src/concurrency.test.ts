import { setTimeout as delay } from 'node:timers/promises';

import { expect, it } from 'vitest';

import { inParallel } from './concurrency.ts';

it('begins nothing more once something has failed, and ends when nothing is under way', async () => {
  const [begun, done]: [number[], number[]] = [[], []];
  const failing = inParallel([1, 2, 3, 4, 5], 2, async (item) => {
    begun.push(item);
    if (item === 1) throw new Error('first');
    await delay(20);
    done.push(item);
    if (item === 2) throw new Error('second');
  });
  await expect(failing).rejects.toThrow('first');
  expect([begun, done]).toEqual([[1, 2], [2]]);
});
