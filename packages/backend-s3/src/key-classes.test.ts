import { describe, expect, it } from 'vitest';

import { keyClasses, keyClassesOf, prefixClassesOf } from './key-classes.ts';
import type { KeyClass } from './key-classes.ts';

describe('keyClassesOf', () => {
  const besides: Partial<Record<KeyClass, readonly KeyClass[]>> = {
    'a "." or ".." beside a "\\"': ['a "\\"'],
    'segments that end with "__XLDIR__"': ['capital letters'],
  };

  it.each(Object.keys(keyClasses) as KeyClass[])('finds %s, and nothing else', (name) => {
    const [of] = keyClasses[name].twins;
    const found = [name, ...(besides[name] ?? [])].toSorted();
    expect(keyClassesOf(of).toSorted()).toEqual(found);
    expect(keyClassesOf(`before/${of}`).toSorted()).toEqual(found);
  });

  it.each([
    'a',
    'a/b.txt',
    '.hidden/..x',
    'a b/c d',
    '!"#$&\'()*,-0:;<=>?@[]^_`az{|}~',
    `${'n'.repeat(85)}/n`,
    `a/${'n'.repeat(255)}`,
    'a.b/c. d',
    'a.uploads.b',
    '.versions.b/x',
    'a.sgwtmp/.sgwtmp.b',
    'a__xldir__/b',
  ])('finds nothing in %s', (key) => expect(keyClassesOf(key)).toEqual([]));

  it.each<[string, KeyClass]>([
    ['a.', 'spaces or dots at the end of a segment'],
    ['a /b', 'spaces or dots at the end of a segment'],
    ['a/', 'a "/" at the end'],
    ['é/'.repeat(30) + 'é', 'composed or decomposed characters'],
    [`${'é'.repeat(128)}`, 'segments over 255 bytes'],
    [`a/${'n'.repeat(256)}/b`, 'segments over 255 bytes'],
    ['a/ b', 'spaces at the beginning of a segment'],
    ['\u00d8', 'capital letters'],
    ['.uploads', 'a segment ".uploads"'],
    ['a/.sgwtmp', 'a segment ".sgwtmp"'],
    ['a/b.versions', 'segments that end with ".versions"'],
    ['a__XLDIR__/b', 'segments that end with "__XLDIR__"'],
    ['a\\..', 'a "." or ".." beside a "\\"'],
  ])('finds what is unusual in %s', (key, name) => {
    expect(keyClassesOf(key)).toContain(name);
  });
});

describe('prefixClassesOf', () => {
  it.each<[string, readonly KeyClass[]]>([
    ['', []],
    ['a', []],
    ['a/b/', []], // not every key below it ends with "/"
    ['a./b.', ['spaces or dots at the end of a segment']],
    ['a.', []], // a key may continue it, like `a.b`
    ['a//', ['empty segments']],
    ['A+%/', []],
    [`${'n'.repeat(256)}/`, ['segments over 255 bytes']],
  ])('finds the classes of all keys that begin with %s', (prefix, names) => expect(prefixClassesOf(prefix)).toEqual(names));
});
