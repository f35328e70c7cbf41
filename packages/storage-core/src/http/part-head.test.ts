import { describe, expect, it } from 'vitest';

import { fieldText, parsePartHead } from './part-head.ts';
import type { PartHead } from './part-head.ts';

const disposition = 'Content-Disposition: form-data; name="a"';
const head = (...headers: readonly string[]): PartHead => parsePartHead(Buffer.from(headers.join('\r\n')));
const more = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => `X-${index}: 1`);
const malformed = expect.objectContaining({ code: 'validation_failed' });

describe('the head of a part', () => {
  it('is the same in upper and lower case', () => {
    const other = head(
      'CONTENT-DISPOSITION: Form-Data; NAME="a"; FileName="f"',
      'content-type:text/plain; Charset=latin1',
      'content-transfer-encoding: BINARY',
    );
    expect(other).toEqual({ name: 'a', filename: 'f', contentType: 'text/plain; Charset=latin1', charset: 'latin1' });
  });

  it.each(['7bit', '8bit', '8BIT', 'binary'])('may say that its content is as it is: %s', (encoding) => {
    expect(head(disposition, `Content-Transfer-Encoding: ${encoding}`)).toEqual({ name: 'a' });
  });

  it.each(['quoted-printable', 'base64', 'x-gzip'])('may not say that its content has to be decoded: %s', (encoding) => {
    expect(() => head(disposition, `Content-Transfer-Encoding: ${encoding}`)).toThrow(malformed);
  });

  it('names a part in up to 256 bytes, and has up to 32 headers', () => {
    const longest = 'ü'.repeat(128);
    expect(head(`Content-Disposition: form-data; name="${longest}"`, ...more(31))).toEqual({ name: longest });
    for (const name of [`${longest}a`, 'ü'.repeat(129)])
      expect(() => head(`Content-Disposition: form-data; name="${name}"`)).toThrow(malformed);
    expect(() => head(disposition, ...more(32))).toThrow(malformed);
  });

  it('has no type where its type is empty', () => {
    expect(head(disposition, 'Content-Type: ')).toEqual({ name: 'a' });
  });

  it.each([
    ['white space before its colon', 'Content-Type : text/plain'],
    ['no name', ': text/plain'],
    ['NUL in its name', 'Content\0Type: text/plain'],
    ['NUL in its value', 'Content-Type: text/\0plain'],
    ['a bare carriage return', 'Content-Type: text/plain\rX: 1'],
    ['a bare line feed', 'Content-Type: text/plain\nX: 1'],
  ])('is malformed with a header that has %s', (_what, header) => {
    expect(() => head(disposition, header)).toThrow(malformed);
  });

  it.each([
    ['in a language', "filename*=UTF-8'de'na%C3%AFve.txt", 'naïve.txt'],
    ['in a charset in lower case', "filename*=utf-8''na%C3%AFve.txt", 'naïve.txt'],
    ['with line breaks as browsers escape them', 'filename="a%0d%0Ab"', 'a\r\nb'],
    ['with what only looks escaped', 'filename="a%20b%2Fc"', 'a%20b%2Fc'],
    ['with a backslash that is escaped', String.raw`filename="dir\\a"`, 'a'],
    ['that is a folder', 'filename="folder/.."', ''],
    ['in both forms', "filename=na_ve.txt; filename*=UTF-8''na%C3%AFve.txt", 'naïve.txt'],
    ['without quotes, before white space', 'filename=a b ; x=y', 'a b'],
  ])('has a file name %s', (_how, parameter, filename) => {
    expect(head(`Content-Disposition: form-data; name="a"; ${parameter}`)).toEqual({ name: 'a', filename });
  });
});

describe('the value of a field', () => {
  it('keeps a byte order mark, which a key may begin with', () => {
    expect(fieldText({ name: 'key' }, Buffer.from('\uFEFFa'))).toBe('\uFEFFa');
  });

  it.each(['utf-8', 'no-such-charset'])('is refused where it is no text in %s', (charset) => {
    expect(() => fieldText({ name: 'key', charset }, Buffer.from([0xff]))).toThrow(malformed);
  });
});
