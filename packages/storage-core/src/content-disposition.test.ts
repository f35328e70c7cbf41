import { describe, expect, it } from 'vitest';

import { contentDisposition, runsInBrowser } from './content-disposition.ts';

describe('contentDisposition', () => {
  it.each([
    ['report.pdf', 'attachment; filename="report.pdf"'],
    ['with space.txt', 'attachment; filename="with space.txt"'],
    ['naïve.txt', `attachment; filename="na_ve.txt"; filename*=UTF-8''na%C3%AFve.txt`],
    ['日本🦊.txt', `attachment; filename="___.txt"; filename*=UTF-8''%E6%97%A5%E6%9C%AC%F0%9F%A6%8A.txt`],
    ['a"b\\c.txt', `attachment; filename="a_b_c.txt"; filename*=UTF-8''a%22b%5Cc.txt`],
    ['100%.txt', `attachment; filename="100_.txt"; filename*=UTF-8''100%25.txt`],
    ["it's (1)*.txt", `attachment; filename="it's (1)*.txt"`],
    ["é's (1)*", `attachment; filename="_'s (1)*"; filename*=UTF-8''%C3%A9%27s%20%281%29%2A`],
    ['=?UTF-8?Q?a?=.txt', `attachment; filename="_UTF-8?Q?a?=.txt"; filename*=UTF-8''%3D%3FUTF-8%3FQ%3Fa%3F%3D.txt`], // browsers decode RFC 2047
    ['a\r\nSet-Cookie: x=y', `attachment; filename="a__Set-Cookie: x=y"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x%3Dy`],
    ['lone\ud800', `attachment; filename="lone_"; filename*=UTF-8''lone%EF%BF%BD`],
    ['', 'attachment'],
    [undefined, 'attachment'],
  ])('of %j', (filename, header) => {
    expect(contentDisposition('attachment', filename)).toBe(header);
    expect(() => new Headers({ 'content-disposition': header })).not.toThrow();
  });

  it.each([
    ['a name in ASCII', `${'a'.repeat(1020)}.txt`, `${'a'.repeat(251)}.txt`],
    ['as many characters as a file system takes', `${'日'.repeat(251)}.txt`, `${'日'.repeat(251)}.txt`],
    ['more of them', `${'日'.repeat(1020)}.txt`, `${'日'.repeat(251)}.txt`],
    ['more of them, two units each', `a${'🦊'.repeat(500)}.txt`, `a${'🦊'.repeat(125)}.txt`],
    ['a unit too many for the last of them', `${'🦊'.repeat(500)}.txt`, `${'🦊'.repeat(125)}.txt`],
    ['no extension', 'é'.repeat(1024), 'é'.repeat(255)],
    ['a dot, and no extension behind it', `é.${'é'.repeat(1022)}`, `é.${'é'.repeat(253)}`],
  ])('holds of %s what a header and a presigned URL can carry', (_, filename, kept) => {
    const header = contentDisposition('attachment', filename);
    const extended = /filename\*=UTF-8''(.*)$/.exec(header)?.[1];
    expect(extended === undefined ? /filename="(.*)"$/.exec(header)?.[1] : decodeURIComponent(extended)).toBe(kept);
    expect(encodeURIComponent(header).length).toBeLessThan(5000);
  });

  it('says inline where that is wanted', () => {
    expect(contentDisposition('inline', 'a.png')).toBe('inline; filename="a.png"');
  });
});

describe('runsInBrowser', () => {
  it.each([
    'text/html',
    'TEXT/HTML; charset=utf-8',
    'image/svg+xml',
    'image/x-unknown+xml',
    'Video/X-Unknown+XML; charset=utf-8',
    'application/xhtml+xml',
    'text/xml',
    'text/javascript',
    'application/x-unknown',
    '',
    'text/html,image/png',
    'image/png,text/html',
  ])('is careful with %j', (type) => {
    expect(runsInBrowser(type)).toBe(true);
  });

  it.each([
    'text/plain',
    'image/png',
    'IMAGE/JPEG',
    'video/mp4',
    'audio/mpeg',
    'font/woff2',
    'application/pdf',
    'application/zip',
    'application/gzip',
    'application/json; charset=utf-8',
    'application/octet-stream',
  ])('lets %j be shown', (type) => {
    expect(runsInBrowser(type)).toBe(false);
  });
});
