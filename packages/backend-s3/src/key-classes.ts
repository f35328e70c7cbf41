/** Kinds of keys that some servers refuse, rewrite or merge with others. */
export type KeyClass =
  | 'empty segments'
  | 'segments over 255 bytes'
  | 'a "/" at the end'
  | 'a "\\"'
  | 'a "." or ".." beside a "\\"'
  | 'spaces or dots at the end of a segment'
  | 'composed or decomposed characters'
  | 'noncharacters'
  | 'spaces at the beginning of a segment'
  | 'capital letters'
  | 'a "+"'
  | 'a "%"'
  | 'characters above U+FFFF'
  | 'a segment ".uploads"'
  | 'a segment ".sgwtmp"'
  | 'segments that end with ".versions"'
  | 'segments that end with "__XLDIR__"';

const tests: readonly [KeyClass, (key: string) => boolean][] = [
  ['empty segments', (key) => key.includes('//') || key.startsWith('/')],
  ['segments over 255 bytes', (key) => key.length > 85 && key.split('/').some((segment) => Buffer.byteLength(segment) > 255)],
  ['a "/" at the end', (key) => key.endsWith('/')],
  ['a "\\"', (key) => key.includes('\\')],
  ['a "." or ".." beside a "\\"', (key) => key.includes('\\') && /(?:^|[\\/])\.{1,2}(?:[\\/]|$)/.test(key)],
  ['spaces or dots at the end of a segment', (key) => /[. ](?:\/|$)/.test(key)],
  [
    'composed or decomposed characters',
    (key) => /[^\x20-\x7e]/.test(key) && (key !== key.normalize('NFC') || key !== key.normalize('NFD')),
  ],
  ['noncharacters', (key) => /[\ufffe\uffff]/.test(key)],
  ['spaces at the beginning of a segment', (key) => /(?:^|\/) /.test(key)],
  ['capital letters', (key) => key !== key.toLowerCase()],
  ['a "+"', (key) => key.includes('+')],
  ['a "%"', (key) => key.includes('%')],
  ['characters above U+FFFF', (key) => /[\ud800-\udbff]/.test(key)],
  // Where Versity Gateway keeps the parts of uploads, among the objects.
  ['a segment ".sgwtmp"', (key) => /(?:^|\/)\.sgwtmp(?:\/|$)/.test(key)],
  // Where SeaweedFS keeps the parts of uploads and versions.
  ['a segment ".uploads"', (key) => /(?:^|\/)\.uploads(?:\/|$)/.test(key)],
  ['segments that end with ".versions"', (key) => /\.versions(?:\/|$)/.test(key)],
  // How MinIO and RustFS spell a trailing "/" on disk.
  ['segments that end with "__XLDIR__"', (key) => /__XLDIR__(?:\/|$)/.test(key)],
];

/** Matches everything that may put a key into a class, if the key is no longer than a segment may be: one test is enough for most keys. */
const unusual = /[^ -$&-*,-@[\]-~]|[. /](?:\/|$)|(?:^|\/)[ /]|\.(?:uploads|sgwtmp|versions)(?:\/|$)/;

export function keyClassesOf(key: string): readonly KeyClass[] {
  if (key.length <= 255 && !unusual.test(key)) return [];
  return tests.filter(([, matches]) => matches(key)).map(([name]) => name);
}

/** The classes of all keys that begin with `prefix`: its complete segments stay what they are, whatever follows. */
export function prefixClassesOf(prefix: string): readonly KeyClass[] {
  return keyClassesOf(prefix.slice(0, prefix.lastIndexOf('/') + 1)).filter(
    (name) => name !== 'a "/" at the end' && !commonKeyClasses.has(name),
  );
}

/** These keys are so common that no server is probed because of them: they are refused only if an earlier probe found a problem. */
export const commonKeyClasses: ReadonlySet<KeyClass> = new Set(['capital letters', 'a "+"', 'a "%"']);

/** For each class, two keys that a careless server merges. The first one is in the class. */
export const keyTwins: Readonly<Record<KeyClass, readonly [string, string]>> = {
  'empty segments': ['empty//segment', 'empty/segment'],
  'segments over 255 bytes': ['n'.repeat(256), 'n'.repeat(255)],
  'a "/" at the end': ['slash/', 'slash'],
  'a "\\"': ['back\\slash', 'back/slash'],
  'a "." or ".." beside a "\\"': ['up\\..\\x', 'x'],
  'spaces or dots at the end of a segment': ['end. ', 'end'],
  'composed or decomposed characters': ['caf\u00e9', 'cafe\u0301'],
  noncharacters: ['non\uffff', 'non\ufffd'],
  'spaces at the beginning of a segment': [' begin', 'begin'],
  'capital letters': ['Capital', 'capital'],
  'a "+"': ['plus+sign', 'plus sign'],
  'a "%"': ['per%20cent', 'per cent'],
  'characters above U+FFFF': ['high\u{1f600}', 'high\u{1f601}'],
  'a segment ".uploads"': ['.uploads/a', '.upload'],
  'a segment ".sgwtmp"': ['.sgwtmp/a', '.sgwtm'],
  'segments that end with ".versions"': ['kept.versions/a', 'kept'],
  'segments that end with "__XLDIR__"': ['marker__XLDIR__', 'marker'],
};
