import { describe, expect, it } from 'vitest';

import { hasCode } from './errors.ts';
import { assertObjectKey, compareKeys, decodeKey, encodeKey, keyProblem, maxKeyBytes } from './key.ts';
import { hardKeys } from './testing/keys.ts';

/** A small seeded generator, so that a failure can be repeated. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('keyProblem', () => {
  it.each([
    ['', 'nothing'],
    [undefined as never, 'no key at all'],
    ['/x', 'a leading slash'],
    ['.', 'a dot segment'],
    ['..', 'a dot segment'],
    ['a/.', 'a dot segment'],
    ['a/../b', 'a dot segment'],
    ['./a', 'a dot segment'],
    ['../a', 'a dot segment'],
    ['a/./', 'a dot segment'],
    ['a\0b', 'NUL'],
    ['a\nb', 'a line feed'],
    ['a\u007f', 'DEL'],
    ['a\u0085', 'a C1 control'],
    ['a\ud800', 'half a surrogate pair'],
    ['\udc00a', 'half a surrogate pair'],
    ['n'.repeat(1025), '1025 bytes'],
    ['é'.repeat(513), '1026 bytes in 513 characters'],
    ['\u{10000}'.repeat(257), '1028 bytes in 514 UTF-16 units'],
  ])('refuses %j: %s', (key) => {
    expect(keyProblem(key)).toMatch(/^A key /);
    expect(() => assertObjectKey(key)).toThrowError(expect.objectContaining({ code: 'invalid_key', name: 'InvalidKeyError' }));
  });

  it('takes every key that the suite is going to write', () => {
    for (const key of hardKeys) expect(keyProblem(key), key).toBeUndefined();
    expect(keyProblem('é'.repeat(maxKeyBytes / 2))).toBeUndefined();
    expect(new Set(hardKeys).size).toBe(hardKeys.length);
  });
});

describe('decodeKey', () => {
  it('decodes once', () => {
    expect(decodeKey('a%2Fb%20c')).toBe('a/b c');
    expect(decodeKey('a%252Fb')).toBe('a%2Fb');
    expect(decodeKey('a+b')).toBe('a+b');
    expect(decodeKey('%E6%97%A5')).toBe('日');
  });

  it.each(['%', 'a%zz', '%E0%A4%A', '%ff', '%C0%AE', '%ed%a0%80', '%2e%2e', 'a%2f..%2fb', '%2fx', '%00', ''])('refuses %j', (raw) => {
    expect(() => decodeKey(raw)).toThrowError(expect.objectContaining({ code: 'invalid_key' }));
  });

  it('takes back what encodeKey made, and no server reads it as a path', () => {
    for (const key of hardKeys) {
      const encoded = encodeKey(key);
      expect(decodeKey(encoded)).toBe(key);
      expect(new URL(`http://host/bucket/${encoded}`).pathname, key).toBe(`/bucket/${encoded}`);
    }
  });
});

describe('compareKeys', () => {
  it('orders as the bytes of UTF-8 do, for any well-formed text', () => {
    const next = random(42);
    const points = [0x20, 0x61, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfffd, 0xffff, 0x10000, 0x1f98a, 0x10ffff];
    const text = (): string =>
      Array.from({ length: Math.floor(next() * 5) }, () => String.fromCodePoint(points[Math.floor(next() * points.length)] ?? 0x61)).join(
        '',
      );
    for (let turn = 0; turn < 50_000; turn++) {
      const [a, b] = [text(), text()];
      expect(Math.sign(compareKeys(a, b)), JSON.stringify([a, b])).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }
  });

  it('puts U+FFFF before U+10000, where JavaScript does not', () => {
    expect(compareKeys('\uffff', '\u{10000}')).toBeLessThan(0);
    expect(['\uffff', '\u{10000}'].sort()).toEqual(['\u{10000}', '\uffff']);
    expect(['b', '\u{10000}', '', 'a', '\uffff'].sort(compareKeys)).toEqual(['', 'a', 'b', '\uffff', '\u{10000}']);
  });
});

it('hasCode tells an invalid key from other failures', () => {
  try {
    assertObjectKey('..');
  } catch (error) {
    expect([hasCode(error, 'invalid_key'), hasCode(error, 'invalid_argument')]).toEqual([true, false]);
  }
});
