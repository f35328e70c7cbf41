import { describe, expect, it } from 'vitest';
import { forbiddenIn } from './forbidden-strings.ts';

describe('forbidden strings', () => {
  // Split, so that searches for such strings do not match this file.
  it.each([
    ['cd /home/', 'ann/coffer', 'a path of one machine'],
    ['registry=https://', 'registry.example.com/npm/', 'the host of a package registry'],
    ['-----BEGIN EC ', 'PRIVATE KEY-----', 'a private key'],
    ['it', ".only('works', () => {})", 'a focused or skipped test'],
    ['describe', ".skip('works', () => {})", 'a focused or skipped test'],
    ['// TO', 'DO handle this', 'an unfinished place'],
    ['// @ts-', 'ignore', 'a silenced compiler'],
    ['// oxlint-', 'disable-next-line no-console', 'a silenced rule without its reason'],
  ])('finds in %s%s %s', (begin, end, what) => {
    expect(forbiddenIn('src/x.ts', `ok\n${begin}${end}\n`)).toEqual([`src/x.ts:2 holds ${what}: ${begin}${end}`]);
  });

  it.each([
    'GET /api/v1/users/home/x',
    'https://example.com/work/list',
    'src/root/file.ts',
    '// oxlint-disable-next-line no-console -- the CLI prints',
    'todoList',
  ])('lets %j pass', (line) => expect(forbiddenIn('src/x.ts', line)).toEqual([]));
});
