import { setTimeout as delay } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { Slots } from './slots.ts';

it('serves who comes next when others in the line are given up together', async () => {
  const slots = new Slots({ capacity: 10, patience: 30, what: 'places' });
  const release = await slots.take(6);
  const cancel = new AbortController();
  const large = slots.take(8, cancel);
  const small = slots.take(2, cancel);
  const others = slots.take(9);
  cancel.abort(new Error('no more'));
  await expect(large).rejects.toThrow('no more');
  (await small)(); // it had its place by then
  release();
  (await others)();
  (await slots.take(10))();
});

describe('once there is more than one tenant', () => {
  const taken = async (taking: Promise<() => void>): Promise<boolean> => Promise.race([taking.then(() => true), delay(20, false)]);

  it('none gets all, and those behind it in the line do not wait for it', async () => {
    const slots = new Slots({ capacity: 8, patience: 30, what: 'places' });
    (await slots.take(1, { tenant: 'globex' }))();
    const held: (() => void)[] = [];
    for (let count = 0; count < 6; count++) held.push(await slots.take(1, { tenant: 'acme' }));
    const more = slots.take(1, { tenant: 'acme' });
    expect(await taken(more)).toBe(false);
    const theirs = await slots.take(1, { tenant: 'globex' });
    const nobodys = await slots.take(1);
    const late = slots.take(1, { tenant: 'globex' });
    expect(await taken(late)).toBe(false);
    nobodys();
    expect(await taken(late)).toBe(true);
    expect(await taken(more)).toBe(false);
    held[0]!();
    expect(await taken(more)).toBe(true);
    for (const release of [theirs, await late, await more, ...held]) release();
    (await slots.take(8, { tenant: 'acme' }))(); // more than its share, when it has nothing
  });

  it('small requests of a tenant do not pass its large one, and what others give back is no help to it', async () => {
    const slots = new Slots({ capacity: 8, patience: 30, brief: 0.3, what: 'places' });
    (await slots.take(1, { tenant: 'globex' }))();
    const held = await slots.take(2, { tenant: 'acme' });
    const large = slots.take(5, { tenant: 'acme' });
    const small = slots.take(1, { tenant: 'acme' });
    expect([await taken(large), await taken(small)]).toEqual([false, false]);
    held();
    expect([await taken(large), await taken(small)]).toEqual([true, true]);
    const late = slots.take(1, { tenant: 'acme' }).catch((error: unknown) => error);
    for (let turn = 0; turn < 10; turn++) {
      await delay(50);
      (await slots.take(1, { tenant: 'globex' }))();
    }
    expect(await late).toMatchObject({ code: 'storage_unavailable' });
  });

  it('no small request passes a large one that waits for room, whosever it is', async () => {
    const slots = new Slots({ capacity: 8, patience: 30, what: 'places' });
    const held = [await slots.take(3, { tenant: 'acme' }), await slots.take(3, { tenant: 'globex' })];
    const large = slots.take(3, { tenant: 'acme' });
    expect(slots.takeFree(1, { tenant: 'initech' })).toBeUndefined();
    held[1]!();
    (await large)();
  });

  it('not before: a lone one has all of it', async () => {
    const slots = new Slots({ capacity: 8, patience: 30, what: 'places' });
    for (let count = 0; count < 8; count++) await slots.take(1, { tenant: 'acme' });
    expect(await taken(slots.take(1, { tenant: 'acme' }))).toBe(false);
  });

  it('the least that is of use is left to each, and one place to whoever comes', async () => {
    const bytes = new Slots({ capacity: 16, patience: 30, what: 'bytes', smallest: 8 });
    const one = new Slots({ capacity: 1, patience: 30, what: 'places' });
    for (const slots of [bytes, one]) (await slots.take(1, { tenant: 'globex' }))();
    (await one.take(1, { tenant: 'acme' }))();
    await bytes.take(8, { tenant: 'acme' });
    expect(await taken(bytes.take(8, { tenant: 'acme' }))).toBe(false);
    await bytes.take(8, { tenant: 'globex' });
  });
});

it('asks those who have some, while somebody waits, for what is of no use to them', async () => {
  const asked: (string | undefined)[] = [];
  const lent: (() => void)[] = [];
  const lend = (tenant: string | undefined): boolean => {
    asked.push(tenant);
    const release = lent.pop();
    release?.();
    return release !== undefined;
  };
  const slots = new Slots({ capacity: 4, patience: 30, what: 'places', lend });
  const held = [await slots.take(1, { tenant: 'acme' }), await slots.take(1, { tenant: 'acme' }), await slots.take(1, { tenant: 'acme' })];
  (await slots.take(1, { tenant: 'globex' }))();
  expect(asked).toEqual([]);
  const own = slots.take(1, { tenant: 'acme' });
  await delay(120);
  expect(new Set(asked)).toEqual(new Set(['acme']));
  expect(asked.length).toBeGreaterThan(1);
  lent.push(held.pop()!);
  (await own)();
  const far = [await slots.take(1, { tenant: 'globex' }), await slots.take(1)];
  asked.length = 0;
  lent.push(held.pop()!);
  const at = await slots.take(1, { tenant: 'initech' });
  expect(asked).toEqual([undefined]);
  await delay(120);
  expect(asked).toHaveLength(1);
  for (const release of [...held, ...far, at]) release();
});

it('asks for one place for one who waits, also of those who want another one at once', async () => {
  let lent = 0;
  const busy: (() => void)[] = [];
  const again = async (): Promise<void> => void busy.push(await slots.take(1));
  const lend = (): boolean => {
    const release = busy.shift();
    if (release === undefined) return false;
    lent++;
    release();
    void again();
    return true;
  };
  const slots: Slots = new Slots({ capacity: 3, patience: 30, what: 'places', lend });
  for (let count = 0; count < 3; count++) await again();
  const release = await slots.take(1);
  expect(lent).toBe(1);
  release();
});

it('is patient with those who have begun, also among several tenants', async () => {
  const slots = new Slots({ capacity: 1, patience: 0.4, brief: 0.1, what: 'places' });
  (await slots.take(1, { tenant: 'globex' }))();
  const held = await slots.take(1, { tenant: 'acme' });
  const isUnderWay = slots.take(1, { tenant: 'globex', isUnderWay: true });
  await expect(slots.take(1, { tenant: 'initech' })).rejects.toMatchObject({ code: 'storage_unavailable' });
  held();
  (await isUnderWay)();
});
