import { expect, it } from 'vitest';

import { Spool } from './spool.ts';

it('gives everything back in order, whether it fits into memory or not', async () => {
  for (const count of [0, 3, 30_000]) {
    const spool = new Spool<{ readonly id: number; readonly text: string }>();
    for (let id = 0; id < count; id++) spool.add({ id, text: 'some text\nof two lines' });
    let next = 0;
    for await (const { id, text } of spool.drain()) {
      expect(id).toBe(next++);
      expect(text).toContain('\n');
    }
    expect(next).toBe(count);
  }
});
