import { describe, expect, it } from 'vitest';

import { InFlight } from './in-flight.ts';

describe('InFlight', () => {
  it('has what was added, until it is taken out, in whatever order', () => {
    const inFlight = new InFlight<string>();
    const [a, b, c] = ['a', 'b', 'c'].map((value) => inFlight.add(value)) as [() => void, () => void, () => void];
    expect(inFlight.values()).toEqual(['a', 'b', 'c']);
    a();
    expect(inFlight.values().toSorted()).toEqual(['b', 'c']);
    c();
    expect(inFlight.values()).toEqual(['b']);
    const d = inFlight.add('d');
    b();
    expect(inFlight.values()).toEqual(['d']);
    d();
    expect(inFlight.values()).toEqual([]);
  });

  it('removes each member once, and equal ones separately', () => {
    const inFlight = new InFlight<string>();
    const first = inFlight.add('same');
    inFlight.add('same');
    first();
    first();
    expect(inFlight.values()).toEqual(['same']);
    const other = inFlight.add('other');
    first();
    expect(inFlight.values().toSorted()).toEqual(['other', 'same']);
    other();
    expect(inFlight.values()).toEqual(['same']);
  });

  it('returns its current members, whatever leaves meanwhile', () => {
    const inFlight = new InFlight<() => void>();
    const leave: (() => void)[] = [];
    for (let at = 0; at < 5; at++) leave.push(inFlight.add(() => leave[at]!()));
    let seen = 0;
    for (const end of inFlight.values()) {
      end();
      seen++;
    }
    expect([seen, inFlight.values()]).toEqual([5, []]);
  });
});
