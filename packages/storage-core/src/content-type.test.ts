import { describe, expect, it } from 'vitest';

import { contentTypeOf, isContentType } from './content-type.ts';

describe('contentTypeOf', () => {
  it.each([
    ['a.txt', 'text/plain'],
    ['dir.png/a.PDF', 'application/pdf'],
    ['a.tar.gz', 'application/gzip'],
    ['日本.JPeg', 'image/jpeg'],
    ['.json', 'application/json'],
    ['site.webmanifest', 'application/manifest+json'],
    ['app.js.map', 'application/json'],
    ['film.vtt', 'text/vtt'],
    ['a.tgz', 'application/gzip'],
    ['noext', 'application/octet-stream'],
    ['dir.png/noext', 'application/octet-stream'],
    ['a.', 'application/octet-stream'],
    ['a.unknown', 'application/octet-stream'],
    ['a.constructor', 'application/octet-stream'],
    ['a.__proto__', 'application/octet-stream'],
    ['', 'application/octet-stream'],
  ])('%s is %s', (name, type) => {
    expect(contentTypeOf(name)).toBe(type);
  });
});

describe('isContentType', () => {
  it.each([
    'text/plain',
    'text/plain; charset=utf-8',
    'text/plain;charset="utf-8"',
    'multipart/form-data; boundary="a;b=\\"c\\""; x=y',
    'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    'application/ld+json ;\tprofile="http://a/b"',
  ])('takes %s', (value) => {
    expect(isContentType(value)).toBe(true);
  });

  it.each([
    '',
    'text',
    'text/',
    '/plain',
    'text/plain;',
    'text/plain; charset',
    'text/plain; charset="open',
    'text/pl ain',
    'text/plain\r\n',
    'text/plain;\r\n x=y',
    'text/plain;\u00a0x=y',
    'text/plain; x="\u0001"',
    'tèxt/plain',
    `text/${'x'.repeat(255)}`,
  ])('refuses %j', (value) => {
    expect(isContentType(value)).toBe(false);
  });

  it('decides on hostile input at once', () => {
    // If quotes could be read in two ways, this would take 2^48 steps, and the test its whole time limit.
    expect(isContentType(`a/b${';x=""'.repeat(48)}\u0001`)).toBe(false);
    expect(isContentType(`a/b${';x="\\"'.repeat(40)}`)).toBe(false);
  });
});
