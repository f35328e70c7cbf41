import type * as os from 'node:os';

import { expect, it, vi } from 'vitest';

import { isOwnerDead, nameOfOwner } from './temp-owner.ts';

const machine = vi.hoisted(() => ({ name: '' }));
vi.mock('node:os', async (original) => ({ ...(await original<typeof os>()), hostname: () => machine.name }));

it.each(['storage-0', 'web-1-23-456', 'a/b', 'Büro von Ada', ''])(
  'tells the living and the dead processes of a machine apart, whatever its name: %j',
  (name) => {
    machine.name = name;
    const own = nameOfOwner();
    expect(own).toMatch(/^[\w.-]+$/); // it becomes the name of a directory
    expect(isOwnerDead(own)).toBe(false);
    const dead = 2 ** 22 + 1; // larger than any pid
    expect(isOwnerDead(own.replace(`-${process.pid}-`, `-${dead}-`))).toBe(true);
    machine.name = 'another';
    expect(isOwnerDead(own.replace(`-${process.pid}-`, `-${dead}-`))).toBe(false);
  },
);
