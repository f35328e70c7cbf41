import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { MalformedXmlError, parseXml, xmlText } from './xml.ts';

const character = fc.string({ unit: 'binary', minLength: 1, maxLength: 1 });

/** A character in one of its spellings. */
const written = fc.tuple(character, fc.nat(3)).map(([text, way]) => {
  const code = text.codePointAt(0)!;
  if (way === 0) return { text, as: `&#${code};` };
  if (way === 1) return { text, as: `&#x${code.toString(16)};` };
  return { text, as: way === 2 && text !== ']' ? `<![CDATA[${text}]]>` : xmlText(text) };
});

describe('parseXml', () => {
  it('gives text back, however it is written', () => {
    fc.assert(
      fc.property(fc.array(written), (characters) => {
        const document = `<?xml version="1.0"?>\n<a xmlns="b>c"><!-- > -->${characters.map(({ as }) => as).join('')}</a>\n`;
        expect(parseXml(document).text).toBe(characters.map(({ text }) => text).join(''));
      }),
    );
  });

  it('accepts NUL, which Ceph RGW sends in the location of a long key', () => {
    expect(parseXml('<a><b>c&#x00;&#0;\ufffd&#x1d;</b></a>').children[0]?.text).toBe('c\0\0\ufffd\x1d');
  });

  it('keeps white space behind a comment or an instruction', () => {
    expect(parseXml('<a><!-- x --> \v <!-- y -->\u00a0<?z?> </a>').text).toBe(' \v \u00a0 ');
  });

  it('passes over what may stand around a document', () => {
    const around = '<!-- x --><?y z?>\n<!-- - -->';
    expect(parseXml(`\ufeff<?xml version="1.0"?>${around}<a>b</a>${around}`)).toEqual({ name: 'a', text: 'b', children: [] });
  });

  it('reads elements in elements, empty ones, and those with attributes', () => {
    const leaf = (name: string, text: string): object => ({ name, text, children: [] });
    expect(parseXml('\n<?xml version="1.0"?><A x="1">\n <B/><C y=\'<\'.</C> </A>'.replace("'<'.", "'>'> "))).toEqual({
      name: 'A',
      text: '',
      children: [leaf('B', ''), leaf('C', ' ')],
    });
  });

  it('refuses a document that is cut short', () => {
    fc.assert(
      fc.property(fc.nat(), (cut) => {
        const document = '<a><b c="d">x&amp;y</b><!-- z --><e/></a>';
        expect(() => parseXml(document.slice(0, cut % document.length))).toThrow(MalformedXmlError);
      }),
    );
  });

  it.each([
    ['nothing', ''],
    ['no document', 'Bad gateway'],
    ['another end', '<a></b>'],
    ['a longer end', '<a></ab>'],
    ['an end too many', '<a/></a>'],
    ['two documents', '<a/><b/>'],
    ['text before it', 'b<a/>'],
    ['text behind it', '<a/>b'],
    ['text beside elements', '<a>b<c/></a>'],
    ['an unknown reference', '<a>&nbsp;</a>'],
    ['a bare ampersand', '<a>b & c</a>'],
    ['a reference to half a character', '<a>&#xd800;</a>'],
    ['a reference beyond Unicode', '<a>&#x110000;</a>'],
    ['an entity of its own', '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'],
    ['elements without end', '<a>'.repeat(100_000)],
  ])('refuses %s', (_name, document) => {
    expect(() => parseXml(document)).toThrow(MalformedXmlError);
  });

  it('accepts an answer that starts with spaces while it is being computed', () => {
    expect(parseXml(`${' \n'.repeat(2_000_000)}<a>b</a>`).text).toBe('b');
  });
});

describe('xmlText', () => {
  it('escapes everything that a parser would change', () => {
    expect(xmlText(`<a href="b" c='d'>&</a>`)).toBe('&lt;a href=&quot;b&quot; c=&apos;d&apos;&gt;&amp;&lt;/a&gt;'); // not every server knows numbers
    for (const character of '\r\n\t\u0085\u2028') expect(xmlText(`a${character}b`)).toBe(`a&#${character.charCodeAt(0)};b`);
  });
});
