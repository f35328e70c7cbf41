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

interface KeyTraits {
  readonly matches: (key: string) => boolean;
  /** Two keys that a careless server merges. The first one is in the class. */
  readonly twins: readonly [string, string];
}

export const keyClasses: Readonly<Record<KeyClass, KeyTraits>> = {
  'empty segments': { matches: (key) => key.includes('//') || key.startsWith('/'), twins: ['empty//segment', 'empty/segment'] },
  'segments over 255 bytes': {
    matches: (key) => key.length > 85 && key.split('/').some((segment) => Buffer.byteLength(segment) > 255),
    twins: ['n'.repeat(256), 'n'.repeat(255)],
  },
  'a "/" at the end': { matches: (key) => key.endsWith('/'), twins: ['slash/', 'slash'] },
  'a "\\"': { matches: (key) => key.includes('\\'), twins: ['back\\slash', 'back/slash'] },
  'a "." or ".." beside a "\\"': {
    matches: (key) => key.includes('\\') && /(?:^|[\\/])\.{1,2}(?:[\\/]|$)/.test(key),
    twins: ['up\\..\\x', 'x'],
  },
  'spaces or dots at the end of a segment': { matches: (key) => /[. ](?:\/|$)/.test(key), twins: ['end. ', 'end'] },
  'composed or decomposed characters': {
    matches: (key) => /[^\x20-\x7e]/.test(key) && (key !== key.normalize('NFC') || key !== key.normalize('NFD')),
    twins: ['caf\u00e9/x', 'cafe\u0301/x'], // rclone merges folders only
  },
  noncharacters: { matches: (key) => /[\ufffe\uffff]/.test(key), twins: ['non\uffff', 'non\ufffd'] },
  'spaces at the beginning of a segment': { matches: (key) => /(?:^|\/) /.test(key), twins: [' begin', 'begin'] },
  'capital letters': { matches: (key) => key !== key.toLowerCase(), twins: ['Capital', 'capital'] },
  'a "+"': { matches: (key) => key.includes('+'), twins: ['plus+sign', 'plus sign'] },
  'a "%"': { matches: (key) => key.includes('%'), twins: ['per%20cent', 'per cent'] },
  'characters above U+FFFF': { matches: (key) => /[\ud800-\udbff]/.test(key), twins: ['high\u{1f600}', 'high\u{1f601}'] },
  // Where SeaweedFS keeps the parts of uploads.
  'a segment ".uploads"': { matches: (key) => /(?:^|\/)\.uploads(?:\/|$)/.test(key), twins: ['.uploads/a', '.upload'] },
  // Where Versity Gateway keeps the parts of uploads, among the objects.
  'a segment ".sgwtmp"': { matches: (key) => /(?:^|\/)\.sgwtmp(?:\/|$)/.test(key), twins: ['.sgwtmp/a', '.sgwtm'] },
  // Where SeaweedFS keeps versions.
  'segments that end with ".versions"': { matches: (key) => /\.versions(?:\/|$)/.test(key), twins: ['kept.versions/a', 'kept'] },
  // How MinIO and RustFS spell a trailing "/" on disk.
  'segments that end with "__XLDIR__"': { matches: (key) => /__XLDIR__(?:\/|$)/.test(key), twins: ['marker__XLDIR__', 'marker'] },
};

const names = Object.keys(keyClasses) as KeyClass[];

/** Matches everything that may put a key into a class, if the key is no longer than a segment may be: one test is enough for most keys. */
const unusual = /[^ -$&-*,-@[\]-~]|[. /](?:\/|$)|(?:^|\/)[ /]|\.(?:uploads|sgwtmp|versions)(?:\/|$)/;

export function keyClassesOf(key: string): readonly KeyClass[] {
  if (key.length <= 255 && !unusual.test(key)) return [];
  return names.filter((name) => keyClasses[name].matches(key));
}

/** The classes of all keys that begin with `prefix`: its complete segments stay what they are, whatever follows. */
export function prefixClassesOf(prefix: string): readonly KeyClass[] {
  return keyClassesOf(prefix.slice(0, prefix.lastIndexOf('/') + 1)).filter(
    (name) => name !== 'a "/" at the end' && !commonKeyClasses.has(name),
  );
}

/** These keys are so common that no server is probed because of them: they are refused only if an earlier probe found a problem. */
export const commonKeyClasses: ReadonlySet<KeyClass> = new Set(['capital letters', 'a "+"', 'a "%"']);
