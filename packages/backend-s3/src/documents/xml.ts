/** An element of an answer, with text or other elements. Attributes are dropped: S3 uses none that matter here. */
export interface XmlElement {
  readonly name: string;
  readonly text: string;
  readonly children: readonly XmlElement[];
}

/** Deeper than any document of S3. */
const maxDepth = 20;

// May have attributes, whose values may contain anything but their quote and "<".
const startTag = /<([\w.:-]+)(?:\s+[\w.:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*\s*(\/?)>/y;
// Markup without meaning, and what may surround the root element.
const remark = /<\?[^?]*\?>|<!--[^]*?-->/y;
const filler = /(?:\s+|\ufeff|<\?[^?]*\?>|<!--[^]*?-->)*/y;

/**
 * Reads an element that begins at `at` and is a child of the root.
 * @returns where it ends, or `at` to have it read as usual
 */
export type ReadChild = (document: string, at: number) => number;

interface OpenElement {
  readonly name: string;
  text: string;
  /** Whether a `ReadChild` has read some children, which are not in `children`. */
  hasOthers?: boolean;
  readonly children: XmlElement[];
}

/**
 * Reads a document as S3 writes them. Text is kept including all spaces, and characters that XML cannot express are accepted: servers send
 * them.
 * @param readChild reads children of the root, which are then not in the result. A page of a list has a thousand similar elements, and a
 * reader that knows their form needs a quarter of the time
 * @throws {MalformedXmlError} for anything else that is not well-formed, and for document type declarations
 */
export function parseXml(document: string, readChild?: ReadChild): XmlElement {
  const open: OpenElement[] = [];
  let parent: OpenElement = { name: '', text: '', children: [] };
  let at = endOf(filler, document, 0);
  do {
    const next = document.indexOf('<', at);
    if (next < 0) throw new MalformedXmlError(`"${parent.name}" has no end`);
    if (next > at) parent.text += unescaped(document.slice(at, next));
    if (open.length === 1 && readChild !== undefined) {
      at = readChild(document, next);
      if (at > next) {
        parent.hasOthers = true;
        continue;
      }
    }
    const end = document.indexOf('>', next) + 1;
    const kind = document.charCodeAt(next + 1);
    if (kind === slash) {
      const { name } = parent;
      if (end !== next + name.length + 3 || !document.startsWith(name, next + 2)) throw new MalformedXmlError(`"${name}" has another end`);
      const element = finished(parent);
      parent = open.pop()!;
      parent.children.push(element);
      at = end;
    } else if (kind === exclamation || kind === question) {
      at = afterSpecial(document, next, parent);
    } else {
      const { name, isEmpty, after } = tagAt(document, next, end);
      at = after;
      if (isEmpty) parent.children.push({ name, text: '', children: [] });
      else {
        if (open.push(parent) > maxDepth) throw new MalformedXmlError('too deep');
        parent = { name, text: '', children: [] };
      }
    }
  } while (open.length > 0);
  const [root] = parent.children;
  if (root === undefined || parent.text !== '' || endOf(filler, document, at) < document.length) {
    throw new MalformedXmlError('something stands outside of the document');
  }
  return root;
}

const [slash, exclamation, question] = [0x2f, 0x21, 0x3f];

export class MalformedXmlError extends Error {
  constructor(what: string) {
    super(`The answer is not well-formed: ${what}.`);
    this.name = 'MalformedXmlError';
  }
}

/** The text of the first child with this name. */
export function textOf(element: XmlElement, name: string): string | undefined {
  return element.children.find((child) => child.name === name)?.text;
}

export function childrenOf(element: XmlElement, name: string): readonly XmlElement[] {
  return element.children.filter((child) => child.name === name);
}

const namedEscapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };

/** Escapes text for a document, including line ends. By name where there is one: some servers (fauxqs) know no numbers. */
export function xmlText(text: string): string {
  if (!/[&<>"'\r\n\t\u0085\u2028]/.test(text)) return text;
  return text.replace(/[&<>"'\r\n\t\u0085\u2028]/g, (c) => namedEscapes[c] ?? `&#${c.charCodeAt(0)};`);
}

/** An element as it was read, without attributes. */
export function xmlOf({ name, text, children }: XmlElement): string {
  return `<${name}>${xmlText(text)}${children.map(xmlOf).join('')}</${name}>`;
}

function tagAt(document: string, at: number, end: number): { readonly name: string; readonly isEmpty: boolean; readonly after: number } {
  const plain = document.slice(at + 1, end - 1);
  if (/^[\w.:-]+$/.test(plain)) return { name: plain, isEmpty: false, after: end };
  startTag.lastIndex = at;
  const found = startTag.exec(document);
  if (found === null) throw new MalformedXmlError('a tag that is none');
  return { name: found[1]!, isEmpty: found[2] === '/', after: startTag.lastIndex };
}

/** @returns the position after a comment, a processing instruction, or a CDATA section, whose text it adds to `parent` */
function afterSpecial(document: string, at: number, parent: OpenElement): number {
  const isQuoted = document.startsWith('<![CDATA[', at);
  const end = isQuoted ? document.indexOf(']]>', at) : endOf(remark, document, at);
  if (end <= at) throw new MalformedXmlError('something with "<!" that is no part of an answer');
  if (!isQuoted) return end;
  parent.text += document.slice(at + 9, end);
  return end + 3;
}

function finished({ name, text, children, hasOthers = false }: OpenElement): XmlElement {
  if (children.length === 0 && !hasOthers) return { name, text, children };
  if (text.trim() !== '') throw new MalformedXmlError(`"${name}" has text beside its elements`);
  return { name, text: '', children };
}

/** Where a match of the expression at exactly this position ends; 0 if there is none. */
function endOf(expression: RegExp, document: string, at: number): number {
  expression.lastIndex = at;
  expression.exec(document);
  return expression.lastIndex;
}

const entities: Readonly<Record<string, string>> = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#34;': '"', '&apos;': "'" };

function unescaped(text: string): string {
  return text.includes('&') ? text.replace(/&[^;&]{0,10};?/g, characterOf) : text;
}

function characterOf(reference: string): string {
  const known = entities[reference];
  if (known !== undefined) return known;
  const [, decimal, hex = ''] = /^&#(?:(\d{1,7})|x([\da-f]{1,6}));$/i.exec(reference) ?? [];
  const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
  const isCharacter = code >= 0 && code <= 0x10_ffff && (code < 0xd800 || code > 0xdfff);
  if (!isCharacter) throw new MalformedXmlError('a reference to no character');
  return String.fromCodePoint(code);
}
