import { describe, expect, it } from 'vitest';

import { isRecordOf, stepsOf } from './session.ts';

describe('a recorded session', () => {
  it('is commands and what they print', () => {
    expect(stepsOf('$ echo a\na\n$ true\n$ cat <<E\n> b\n> E\nb\n\nc\n')).toEqual([
      { command: 'echo a', printed: 'a\n' },
      { command: 'true', printed: '' },
      { command: 'cat <<E\nb\nE', printed: 'b\n\nc\n' },
    ]);
    expect(() => stepsOf('a\n')).toThrow('begins with a command');
  });

  it('matches what is printed, except for what it leaves open', () => {
    expect(isRecordOf('a 1.5 (b)\n', 'a 1.5 (b)\n')).toBe(true);
    expect(isRecordOf('a 1.5 (b)\n', 'a 125 (b)\n')).toBe(false);
    expect(isRecordOf('', '')).toBe(true);
    expect(isRecordOf('', 'a\n')).toBe(false);
    expect(isRecordOf('took … ms, … s\n', 'took 5 ms, 7 s\n')).toBe(true);
    expect(isRecordOf('took … ms\n', 'took 5\n6 ms\n')).toBe(false);
    expect(isRecordOf('a\n…\nb\n', 'a\nx\ny\nb\n')).toBe(true);
    expect(isRecordOf('a\n…\nb\n', 'a\nb\n')).toBe(true);
    expect(isRecordOf('a\n…\nb\n', 'a\nx\n')).toBe(false);
  });
});
