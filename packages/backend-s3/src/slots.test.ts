import { getEventListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Slots } from './slots.ts';

it('gives nothing to who has gone', async () => {
  const slots = new Slots({ capacity: 1, patience: 30, resource: 'places' });
  const signal = AbortSignal.abort(new Error('no more'));
  await expect(slots.take(1, { signal })).rejects.toThrow('no more');
  const release = await slots.take(1);
  await expect(slots.take(1, { signal })).rejects.toThrow('no more');
  release();
});

it('serves the next in line when others are aborted together', async () => {
  const slots = new Slots({ capacity: 10, patience: 30, resource: 'places' });
  const release = await slots.take(6);
  const cancel = new AbortController();
  const large = slots.take(8, cancel);
  const small = slots.take(2, cancel);
  const others = slots.take(9);
  cancel.abort(new Error('no more'));
  await expect(large).rejects.toThrow('no more');
  (await small)(); // it had already been granted
  release();
  (await others)();
  (await slots.take(10))();
});

it('gives a request for more than there is all of it, once nothing else is in use', async () => {
  const slots = new Slots({ capacity: 8, patience: 30, resource: 'bytes' });
  const held = await slots.take(1);
  const large = slots.take(20);
  expect(slots.takeFree(1, {})).toBeUndefined();
  held();
  const release = await large;
  expect(slots.takeFree(1, {})).toBeUndefined();
  release();
  (await slots.take(8))();
});

describe('once there is more than one tenant', () => {
  const taken = async (taking: Promise<() => void>): Promise<boolean> => Promise.race([taking.then(() => true), delay(20, false)]);

  it('none gets all, and those behind it in the line do not wait for it', async () => {
    const slots = new Slots({ capacity: 8, patience: 30, resource: 'places' });
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
    (await slots.take(8, { tenant: 'acme' }))(); // more than its share, because it holds nothing
  });

  it('small requests of a tenant do not pass its large one, and what others give back is no help to it', async () => {
    const slots = new Slots({ capacity: 8, patience: 30, multiTenantPatience: 0.3, resource: 'places' });
    (await slots.take(1, { tenant: 'globex' }))();
    const held = await slots.take(2, { tenant: 'acme' });
    const large = slots.take(5, { tenant: 'acme' });
    const small = slots.take(1, { tenant: 'acme' });
    (await slots.take(1, { tenant: 'globex' }))();
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
    const slots = new Slots({ capacity: 8, patience: 30, resource: 'places' });
    const held = [await slots.take(3, { tenant: 'acme' }), await slots.take(3, { tenant: 'globex' })];
    const large = slots.take(3, { tenant: 'acme' });
    expect(slots.takeFree(1, { tenant: 'initech' })).toBeUndefined();
    held[1]!();
    (await large)();
  });

  it('and not before: a lone tenant gets everything', async () => {
    const slots = new Slots({ capacity: 8, patience: 30, resource: 'places' });
    for (let count = 0; count < 8; count++) await slots.take(1, { tenant: 'acme' });
    expect(await taken(slots.take(1, { tenant: 'acme' }))).toBe(false);
  });

  it('each is left the smallest useful amount, and a single place goes to anybody', async () => {
    const bytes = new Slots({ capacity: 16, patience: 30, resource: 'bytes', smallest: 8 });
    const one = new Slots({ capacity: 1, patience: 30, resource: 'places' });
    expect([bytes.limit, one.limit]).toEqual([16, 1]);
    for (const slots of [bytes, one]) (await slots.take(1, { tenant: 'globex' }))();
    (await one.take(1, { tenant: 'acme' }))();
    for (const tenant of ['acme', 'globex']) {
      for (let count = 0; count < 2; count++) await bytes.take(4, { tenant });
      expect(bytes.takeFree(1, { tenant })).toBeUndefined();
    }
    expect([bytes.limit, one.limit]).toEqual([8, 1]);
    const all = new Slots({ capacity: 8, patience: 30, resource: 'bytes', smallest: 8 });
    (await all.take(1, { tenant: 'globex' }))();
    for (let count = 0; count < 2; count++) await all.take(4, { tenant: 'acme' });
  });
});

it('asks holders to give up what they do not need while somebody waits', async () => {
  const asked: (string | undefined)[] = [];
  const lent: (() => void)[] = [];
  const reclaim = (tenant: string | undefined): boolean => {
    asked.push(tenant);
    const release = lent.pop();
    release?.();
    return release !== undefined;
  };
  const slots = new Slots({ capacity: 4, patience: 30, resource: 'places', reclaim });
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

it('asks for a single place for each waiter, even if the lender wants another one at once', async () => {
  let lent = 0;
  const busy: (() => void)[] = [];
  const again = async (): Promise<void> => void busy.push(await slots.take(1));
  const reclaim = (): boolean => {
    const release = busy.shift();
    if (release === undefined) return false;
    lent++;
    release();
    void again();
    return true;
  };
  const slots: Slots = new Slots({ capacity: 3, patience: 30, resource: 'places', reclaim });
  for (let count = 0; count < 3; count++) await again();
  const release = await slots.take(1);
  expect(lent).toBe(1);
  release();
});

it('is patient with callers who have already begun, even with several tenants', async () => {
  const slots = new Slots({ capacity: 1, patience: 0.4, multiTenantPatience: 0.1, resource: 'places' });
  (await slots.take(1, { tenant: 'globex' }))();
  const held = await slots.take(1, { tenant: 'acme' });
  const resuming = slots.take(1, { tenant: 'globex', isResuming: true });
  await expect(slots.take(1, { tenant: 'initech' })).rejects.toMatchObject({ code: 'storage_unavailable' });
  held();
  (await resuming)();
});

describe('over time', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
  afterEach(() => void vi.useRealTimers());
  const outcome = (taking: Promise<() => void>): Promise<unknown> =>
    taking.then(
      () => 'taken',
      (error: unknown) => error,
    );
  const refused = { code: 'storage_unavailable', retryAfter: 1 };

  it.each([
    ['anything at all is given back', 'acme', 'acme'],
    ['others give anything back', 'acme', 'globex'],
    ['a tenant that waits for itself gives anything back', 'globex', 'acme'],
  ])('is patient as long as %s', async (_what, first, tenant) => {
    const slots = new Slots({ capacity: 8, patience: 1, resource: 'places' });
    (await slots.take(1, { tenant: first }))();
    const held = [
      await slots.take(2, { tenant: 'acme' }),
      await slots.take(2, { tenant: 'acme' }),
      await slots.take(2, { tenant: 'acme' }),
    ];
    const all = outcome(slots.take(6, { tenant }));
    for (const release of held) {
      await vi.advanceTimersByTimeAsync(900);
      release();
    }
    expect(await all).toBe('taken');
  });

  it.each([
    { tenants: ['acme'], multiTenantPatience: 1, patience: 3, after: 3 },
    { tenants: ['acme', 'globex'], multiTenantPatience: 1, patience: 3, after: 1 },
    { tenants: ['acme', 'globex'], multiTenantPatience: 3, patience: 1, after: 1 },
  ])(
    'is brief only among several tenants, and never for longer than it is patient: %j',
    async ({ tenants, multiTenantPatience, patience, after }) => {
      const slots = new Slots({ capacity: 1, patience, multiTenantPatience, resource: 'places' });
      for (const tenant of tenants) (await slots.take(1, { tenant }))();
      await slots.take(1, { tenant: 'acme' });
      let told: unknown;
      void outcome(slots.take(1, { tenant: 'acme' })).then((end) => (told = end));
      await vi.advanceTimersByTimeAsync(after * 1000 - 10);
      expect(told).toBeUndefined();
      await vi.advanceTimersByTimeAsync(10);
      expect(told).toMatchObject(refused);
    },
  );

  it('is no more patient with a caller who waits for its own tenant because others release something', async () => {
    const slots = new Slots({ capacity: 4, patience: 1, resource: 'places' });
    (await slots.take(1, { tenant: 'globex' }))();
    await slots.take(3, { tenant: 'acme' });
    const late = outcome(slots.take(1, { tenant: 'acme' }));
    await vi.advanceTimersByTimeAsync(900);
    (await slots.take(1, { tenant: 'globex' }))();
    await vi.advanceTimersByTimeAsync(100);
    expect(await Promise.race([late, Promise.resolve('waiting')])).toMatchObject(refused);
  });

  it('leaves neither timers nor listeners behind', async () => {
    const { signal } = new AbortController();
    const slots = new Slots({ capacity: 1, patience: 1, resource: 'places' });
    const release = await slots.take(1);
    const [first, second] = [outcome(slots.take(1, { signal })), outcome(slots.take(1, { signal }))];
    release();
    expect(vi.getTimerCount()).toBe(1); // of the second
    await vi.advanceTimersByTimeAsync(1000);
    expect([await first, await second]).toMatchObject(['taken', refused]);
    expect([vi.getTimerCount(), getEventListeners(signal, 'abort').length]).toEqual([0, 0]);
  });

  it('does not ask for a waiter who was served meanwhile, and asks once for all if nobody can lend', async () => {
    const held: (() => void)[] = [];
    let asked = 0;
    const reclaim = (): boolean => {
      asked++;
      const release = held.shift();
      release?.();
      return release !== undefined;
    };
    const slots = new Slots({ capacity: 4, patience: 30, resource: 'places', reclaim });
    const releases = [await slots.take(2), await slots.take(2)];
    const all = Array.from({ length: 3 }, () => slots.take(1));
    expect(asked).toBe(1); // for the first of them, at once
    await vi.advanceTimersByTimeAsync(50);
    expect(asked).toBe(2);
    held.push(...releases);
    await vi.advanceTimersByTimeAsync(50);
    expect(asked).toBe(4);
    await Promise.all(all);
    await vi.advanceTimersByTimeAsync(200);
    expect([asked, vi.getTimerCount()]).toEqual([4, 0]);
  });
});
