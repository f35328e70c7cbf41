import { expect, it } from 'vitest';

import { Slots } from './slots.ts';

it('serves who comes next when others in the line are given up together', async () => {
  const slots = new Slots({ capacity: 10, patience: 30, what: 'places' });
  const release = await slots.take(6);
  const cancel = new AbortController();
  const large = slots.take(8, cancel.signal);
  const small = slots.take(2, cancel.signal);
  const others = slots.take(9);
  cancel.abort(new Error('no more'));
  await expect(large).rejects.toThrow('no more');
  (await small)(); // it had its place by then
  release();
  (await others)();
  (await slots.take(10))();
});
