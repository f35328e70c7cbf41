import { describe, expect, it } from 'vitest';

import { decideContentType } from './sniff.ts';

const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
const damagedPng = Buffer.from('\u0089PNG\r\n\u001a\n and no header', 'latin1');
const jpeg = Buffer.from('ffd8ffe000104a46494600010100000100010000ffdb', 'hex');
const gif = Buffer.from('GIF89a\u0001\u0000\u0001\u0000\u0080\u0000\u0000', 'latin1');
const pdf = Buffer.from('%PDF-1.7\n%\u00e2\u00e3\u00cf\u00d3\n1 0 obj\n', 'latin1');
const elf = Buffer.concat([Buffer.from('\u007fELF\u0002\u0001\u0001\u0000', 'latin1'), Buffer.alloc(56)]);
const gzip = Buffer.from('1f8b0800000000000003cb48cdc9c907008510 4a0d'.replaceAll(' ', ''), 'hex');
const mp4 = Buffer.concat([
  Buffer.from([0, 0, 0, 24]),
  Buffer.from('ftypisom\u0000\u0000\u0002\u0000isomiso2', 'latin1'),
  Buffer.alloc(64),
]);
const ogg = Buffer.concat([
  Buffer.from('OggS\u0000\u0002', 'latin1'),
  Buffer.alloc(22),
  Buffer.from('OpusHead', 'latin1'),
  Buffer.alloc(20),
]);
const cfb = Buffer.concat([Buffer.from('d0cf11e0a1b11ae1', 'hex'), Buffer.alloc(600)]);
const webm = Buffer.concat([Buffer.from('1a45dfa39f4286810142f7810142f2810442f381084282847765626d', 'hex'), Buffer.alloc(64)]);

/** A ZIP archive whose entries are stored. */
function zip(...names: readonly string[]): Buffer {
  const entries = names.map((name) => {
    const header = Buffer.alloc(30);
    header.writeUInt32LE(0x04034b50, 0);
    header.writeUInt16LE(20, 4);
    const data = Buffer.from('<x/>');
    header.writeUInt32LE(data.length, 18);
    header.writeUInt32LE(data.length, 22);
    header.writeUInt16LE(name.length, 26);
    return Buffer.concat([header, Buffer.from(name), data]);
  });
  return Buffer.concat([...entries, Buffer.from('504b0506', 'hex'), Buffer.alloc(18)]);
}

const docx = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';
const decide = (sample: string | Buffer, declared: string | undefined, filename = 'file'): Promise<string> =>
  decideContentType({ sample: typeof sample === 'string' ? Buffer.from(sample) : sample, declared, filename });

describe('decideContentType', () => {
  it.each([
    ['text', 'hello', 'text/plain'],
    ['a charset', 'héllo', 'text/plain; charset=utf-8'],
    ['Markdown', '# hi', 'text/markdown'],
    ['JSON', '{"a": 1}', 'application/json'],
    ['a letter to BMW, which is no bitmap', 'BMW builds cars.', 'text/plain'],
    ['HTML shown as text', '<!DOCTYPE html><script>alert(1)</script>', 'text/plain'],
    ['XHTML', '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>', 'application/xhtml+xml'],
    ['SVG', '<svg xmlns="http://www.w3.org/2000/svg"/>', 'image/svg+xml'],
    ['a feed', '<?xml version="1.0"?><rss/>', 'application/rss+xml'],
    ['a format of somebody, in XML', '<?xml version="1.0"?><foo/>', 'application/vnd.acme.foo'],
    ['an image', png, 'image/png'],
    ['an image under another name of its type', jpeg, 'image/jpg'],
    ['a document in a ZIP', zip('a.txt'), docx],
    ['a document that shows itself', zip('[Content_Types].xml', 'word/document.xml'), docx],
    ['a book', zip('a.txt'), 'application/epub+zip'],
    ['a Java archive', zip('META-INF/MANIFEST.MF'), 'application/java-archive'],
    ['an Android package', zip('AndroidManifest.xml'), 'application/vnd.android.package-archive'],
    ['a format of somebody, in a ZIP', zip('a.txt'), 'application/vnd.acme.thing'],
    ['an old document', cfb, 'application/msword'],
    ['an old sheet', cfb, 'application/vnd.ms-excel'],
    ['a compressed archive', gzip, 'application/x-tgz'],
    ['sound in MPEG-4', mp4, 'audio/mp4'],
    ['a film', mp4, 'video/quicktime'],
    ['sound in Ogg', ogg, 'audio/opus'],
    ['sound in WebM', webm, 'audio/webm'],
    ['a program', elf, 'application/x-executable'],
    ['Illustrator, in PDF', pdf, 'application/illustrator'],
    ['nothing', '', 'image/png'],
    ['noise', Buffer.from([0, 1, 2, 3, 254]), 'application/x-noise'],
    ['text called an image', 'hello', 'image/png'],
    ['less than a font begins with', Buffer.from([0, 1]), 'text/plain'],
    ['less than an icon begins with', Buffer.from([0, 0, 1]), 'application/x-noise'],
    ['less than a pointer begins with', Buffer.from([0, 0, 2]), 'application/octet-stream'],
  ])('keeps what is declared: %s', async (_what, sample, declared) => {
    expect(await decide(sample, declared)).toBe(declared);
  });

  it('keeps the declared type as it was sent, without tabs', async () => {
    expect(await decide('a', 'text/plain;\tcharset=utf-8')).toBe('text/plain; charset=utf-8');
  });

  it.each([
    ['an image called text', png, 'text/plain', 'image/png'],
    ['an image called another', gif, 'image/png', 'image/gif'],
    ['an image whose header is damaged', damagedPng, 'text/plain', 'image/png'],
    ['an image in pure ASCII', 'GIF89a and no more', 'image/png', 'image/gif'],
    ['an image called a document', jpeg, 'application/pdf', 'image/jpeg'],
    ['a document called text', pdf, 'text/plain', 'application/pdf'],
    ['a document in pure ASCII', '%PDF-1.4\n1 0 obj', 'image/png', 'application/pdf'],
    ['a program called an image', elf, 'image/jpeg', 'application/x-elf'],
    ['a page called an image', '<html><script>alert(1)</script>', 'image/png', 'text/html'],
    ['a page behind a comment and spaces', '\ufeff \n<!-- hi --><!doctype html>', 'image/gif', 'text/html'],
    ['a drawing called a bitmap', '<svg onload="alert(1)">', 'image/png', 'image/svg+xml'],
    ['a page called a document', '<html></html>', 'application/pdf', 'text/html'],
    ['an archive called JSON', zip('a.txt'), 'application/json', 'application/zip'],
    ['an archive called text', gzip, 'text/csv', 'application/gzip'],
    ['an archive called a bitmap', zip('a.txt'), 'image/png', 'application/zip'],
    ['a film called a picture', mp4, 'image/jpeg', 'video/mp4'],
  ])('corrects a declared type when the bytes clearly show another: %s', async (_what, sample, declared, kept) => {
    expect(await decide(sample, declared)).toBe(kept);
  });

  it.each([
    ['an image', png, 'photo', 'image/png'],
    ['text by its name', 'hello', 'notes.md', 'text/markdown'],
    ['text without a name', 'hello', 'notes', 'application/octet-stream'],
    ['a page', '<!doctype html>', 'page', 'text/html'],
    ['a document by its name, in a ZIP', zip('a.txt'), 'letter.docx', docx],
    ['an archive', zip('a.txt'), 'letter.png', 'application/zip'],
    ['nothing', '', 'empty.json', 'application/json'],
    ['noise', Buffer.from([0, 1, 2, 3, 254]), 'noise.wasm', 'application/wasm'],
  ])('finds out what is not declared: %s', async (_what, sample, filename, kept) => {
    expect(await decide(sample, undefined, filename)).toBe(kept);
    expect(await decide(sample, 'nonsense', filename)).toBe(kept);
  });

  it('lets the bytes overrule application/octet-stream, but not the name alone', async () => {
    expect(await decide(png, 'application/octet-stream')).toBe('image/png');
    expect(await decide('hello', 'application/octet-stream', 'notes.md')).toBe('application/octet-stream');
  });

  it('knows text whose sample ends within a character', async () => {
    for (const character of ['é', '€', '🗄']) {
      for (let offset = 0; offset < 4; offset++) {
        const text = Buffer.from('x'.repeat(offset) + character.repeat(2000)).subarray(0, 4100);
        expect(await decide(text, 'text/plain')).toBe('text/plain');
      }
    }
  });
});
