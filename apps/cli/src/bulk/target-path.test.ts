import { describe, expect, it } from 'vitest';

import { targetProblem } from './target-path.ts';

describe('targetProblem', () => {
  it.each(['a', 'a/b', 'a/', '...', '..a/b..', 'a b', 'C:x', 'nul', 'a\\b', '.hidden', '東京/é'])('takes %j on Linux', (name) => {
    expect(targetProblem(name, 'linux')).toBeUndefined();
  });

  it.each(['contact', 'falcon', 'com10', 'a. b'])('takes %j on Windows', (name) => {
    expect(targetProblem(name, 'win32')).toBeUndefined();
  });

  it.each([
    '',
    '/',
    '/etc/passwd',
    '../x',
    'a/../../x',
    'a/..',
    './a',
    'a/./b',
    'a//b',
    'a\0b',
    '.coffer-a1.part',
    'a/.coffer-a1.part.log',
    '.COFFER-x.Part/b',
    '.co\uFB00er-a1.part',
  ])('refuses %j everywhere', (name) => {
    for (const platform of ['linux', 'darwin', 'win32'] as const) expect(targetProblem(name, platform)).toBeDefined();
  });

  it.each([
    'C:x',
    'C:/x',
    'a\\..\\b',
    '\\\\host\\share',
    'nul',
    'a/CON.txt',
    'com1',
    'PRN',
    'aux.tar.gz',
    'lpt9',
    'conin$',
    'CONOUT$',
    'a.',
    'a /b',
    'a?',
    'a*',
    'a:b',
    'a\u0001',
  ])('refuses %j on Windows', (name) => {
    expect(targetProblem(name, 'win32')).toBeDefined();
  });
});
