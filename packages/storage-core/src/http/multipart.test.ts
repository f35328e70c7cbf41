import { describe, expect, it } from 'vitest';

import { releaseChunk } from '../body/chunk-memory.ts';
import { multipartBoundary, MultipartParser } from './multipart.ts';
import type { PartHead } from './part-head.ts';

interface Read {
  readonly parts: readonly { readonly head: PartHead; readonly text: string }[];
  readonly finished: boolean;
}

/** What the parser reports for a form that arrives in chunks of `size` bytes, whose memory is released as soon as they are read. */
function read(form: string, size = form.length): Read {
  const parts: { head: PartHead; text: string; whole: boolean }[] = [];
  let ends = 0;
  const parser = new MultipartParser('b', {
    part: (head) => void parts.push({ head, text: '', whole: false }),
    data: (bytes) => {
      parts.at(-1)!.text += bytes.toString('latin1');
      releaseChunk(bytes);
    },
    partEnd: () => {
      parts.at(-1)!.whole = true;
    },
    end: () => {
      ends += 1;
    },
  });
  const bytes = Buffer.from(form, 'latin1');
  for (let at = 0; at < bytes.length; at += size) parser.push(Buffer.from(Uint8Array.from(bytes.subarray(at, at + size)).buffer));
  expect(ends).toBe(parser.finished ? 1 : 0);
  if (parser.finished) expect(parts.every(({ whole }) => whole)).toBe(true);
  return { parts: parts.map(({ head, text }) => ({ head, text })), finished: parser.finished };
}

const part = (headers: string, text = ''): string => `--b\r\n${headers}\r\n\r\n${text}\r\n`;
const named = (name: string, text = ''): string => part(`Content-Disposition: form-data; name="${name}"`, text);
const end = '--b--';
const malformed = expect.objectContaining({ code: 'validation_failed' });

describe('a multipart parser', () => {
  const form = `before\r\n${named('a', '1')}${part('Content-Disposition: form-data; name="file"; filename="f"', 'x\r\n--\r\n-\n--b\r--')}${named('b')}${end}behind\r\n--b\r\n`;
  const expected = {
    parts: [
      { head: { name: 'a' }, text: '1' },
      { head: { name: 'file', filename: 'f' }, text: 'x\r\n--\r\n-\n--b\r--' },
      { head: { name: 'b' }, text: '' },
    ],
    finished: true,
  };

  it('tells of the same parts however a form is cut into chunks', () => {
    for (let size = 1; size <= form.length; size++) expect(read(form, size)).toEqual(expected);
  });

  it('hands on all but the beginning of a boundary at once', () => {
    const seen: string[] = [];
    const ignore = (): void => {};
    const parser = new MultipartParser('b', {
      part: ignore,
      data: (bytes) => void seen.push(bytes.toString()),
      partEnd: ignore,
      end: ignore,
    });
    parser.push(Buffer.from(`${named('a').slice(0, -2)}some bytes\r\n-`));
    parser.push(Buffer.from('more\r'));
    expect(seen).toEqual(['some bytes', '\r\n-more']);
  });

  it('is not finished before the closing boundary is whole', () => {
    const whole = `${named('a', '1')}${end}`;
    for (let length = 0; length < whole.length; length++) expect(read(whole.slice(0, length)).finished).toBe(false);
    expect(read(whole).finished).toBe(true);
  });

  it.each([
    ['text behind a boundary', `--bx\r\n${named('a')}${end}`],
    ['one dash behind a boundary', `${named('a')}--b-\r\n`],
    ['one dash in the padding', `${named('a')}--b -\r\n`],
    ['line feeds only', `${named('a')}${end}`.replaceAll('\r\n', '\n')],
    ['half a line break behind a boundary', `--b\rx${named('a').slice('--b\r\n'.length)}${end}`],
    ['endless padding', `--b${' '.repeat(300)}\r\n`],
    ['an endless preamble', 'x'.repeat(70_000)],
    ['an endless head', `--b\r\nx: ${'y'.repeat(9000)}`],
    ['a part without a name', part('Content-Disposition: form-data')],
    ['a part without headers', '--b\r\n\r\nx'],
    ['a part of another kind', part('Content-Disposition: attachment; name="a"')],
    ['a header without a colon', part('Content-Disposition: form-data; name="a"\r\ngarbage')],
    ['a header twice', part('Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="b"')],
    ['base64', part('Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64', 'eA==')],
    ['an open quote', part('Content-Disposition: form-data; name="a; filename=b')],
  ])('refuses %s, in one chunk and in many', (_what, text) => {
    for (const size of [text.length, 1, 7]) {
      expect(() => read(text, size)).toThrow(malformed);
    }
  });

  it('takes padding behind a boundary, folded headers and names in UTF-8', () => {
    const head =
      'Content-Disposition: form-data;\r\n name="\u00c3\u00bc";\r\n\tfilename="f.txt"\r\nContent-Type: text/plain; charset=latin1';
    expect(read(`--b \t\r\n${head}\r\n\r\nx\r\n--b--`)).toEqual({
      parts: [{ head: { name: 'ü', filename: 'f.txt', contentType: 'text/plain; charset=latin1', charset: 'latin1' }, text: 'x' }],
      finished: true,
    });
  });

  it('reads hostile input in linear time', () => {
    const nested = `--b\r\nContent-Disposition: form-data; name="a"${'; x="\\'.repeat(800)}\r\n\r\n`;
    expect(() => read(nested)).toThrow(malformed);
    expect(read(`${named('a', '\r'.repeat(300_000))}${end}`).parts[0]?.text).toHaveLength(300_000);
    expect(read(`${named('a', '\r\n--'.repeat(100_000))}${end}`, 5).parts[0]?.text).toHaveLength(400_000);
  });
});

describe('the boundary of a form', () => {
  it.each([
    ['multipart/form-data; boundary=abc', 'abc'],
    ['Multipart/Form-Data;charset=utf-8; Boundary="a b?"', 'a b?'],
    ['multipart/form-data; boundary=abc; charset=x', 'abc'],
  ])('stands in %s', (type, boundary) => {
    expect(multipartBoundary(type)).toBe(boundary);
  });

  it('is asked of forms only, and refused where there is none', () => {
    for (const type of [undefined, '', 'text/plain', 'multipart/mixed; boundary=a', 'multipart/form-datax; boundary=a'])
      expect(() => multipartBoundary(type)).toThrow(expect.objectContaining({ code: 'unsupported_media_type' }));
    for (const rest of ['', '; boundary', '; boundary=', '; boundary=; boundary=a', '; boundary=""', '; xboundary=a'])
      expect(() => multipartBoundary(`multipart/form-data${rest}`)).toThrow(malformed);
    for (const boundary of ['b'.repeat(71), 'a\tb', 'ends ', 'ü'])
      expect(() => new MultipartParser(boundary, { part() {}, data() {}, partEnd() {}, end() {} })).toThrow(malformed);
  });

  it('is refused in no time, however much white space there is', () => {
    for (const end of ['"', 'a b'])
      expect(() => multipartBoundary(`multipart/form-data; boundary=${' '.repeat(300_000)}${end}`)).toThrow(malformed);
  });
});
