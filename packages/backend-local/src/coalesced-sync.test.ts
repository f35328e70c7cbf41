import { expect, it } from 'vitest';

import { CoalescedSync } from './coalesced-sync.ts';

/** A sync that ends when the test says so. */
function manual(): { readonly sync: CoalescedSync; readonly ends: PromiseWithResolvers<void>[] } {
  const ends: PromiseWithResolvers<void>[] = [];
  const sync = new CoalescedSync(() => {
    const end = Promise.withResolvers<void>();
    ends.push(end);
    return end.promise;
  });
  return { sync, ends };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('makes all callers that arrive during a sync share the next one', async () => {
  const { sync, ends } = manual();
  const done: string[] = [];
  const wait = (name: string): Promise<void> => sync.sync().then(() => void done.push(name));
  const all = [wait('first'), wait('second'), wait('third')];
  expect(ends).toHaveLength(1);
  ends[0]!.resolve();
  await turn();
  expect(done).toEqual(['first']);
  expect(ends).toHaveLength(2);
  ends[1]!.resolve();
  await Promise.all(all);
  expect(ends).toHaveLength(2);
});

it('makes a caller that arrives during the next one wait for yet another: it may have written after that began', async () => {
  const { sync, ends } = manual();
  const done: string[] = [];
  const wait = (name: string): Promise<void> => sync.sync().then(() => void done.push(name));
  const all = [wait('first'), wait('second')];
  ends[0]!.resolve();
  await turn();
  all.push(wait('third'));
  ends[1]!.resolve();
  await turn();
  expect(done).toEqual(['first', 'second']);
  ends[2]!.resolve();
  await Promise.all(all);
});

it('rejects for all callers that shared a failed sync, and works again afterwards', async () => {
  const { sync, ends } = manual();
  const failed = sync.sync();
  const next = [sync.sync(), sync.sync()];
  ends[0]!.reject(new Error('disk'));
  await expect(failed).rejects.toThrow('disk');
  await turn();
  ends[1]!.reject(new Error('disk again'));
  for (const each of next) await expect(each).rejects.toThrow('disk again');
  const last = sync.sync();
  ends[2]!.resolve();
  await last;
});
