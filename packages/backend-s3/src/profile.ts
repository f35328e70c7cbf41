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
  | 'segments that end with ".versions"'
  | 'segments that end with "__XLDIR__"';

/** Sums of a body that come with it: Content-MD5, x-amz-checksum-crc32, x-amz-checksum-sha256. */
export type BodySum = 'md5' | 'crc32' | 'sha256';

/** What an endpoint was seen to do, not what it claims. */
export interface EndpointProfile {
  /** Where a bucket comes to lie that is made for no region by name; undefined where the endpoint does not tell, or makes none. */
  readonly region: string | undefined;
  /** Refuses writes that are signed with no key, however their body comes. */
  readonly checksSignatures: boolean;
  /** A canned ACL on a write takes effect, instead of being answered with 200 and ignored. */
  readonly acl: boolean;
  /** PutObject enforces If-None-Match. */
  readonly conditionalPut: boolean;
  /** The same in a bucket that keeps versions, if there are any. Undefined where that could not be tried out. */
  readonly conditionalPutOfVersions: boolean | undefined;
  /** How PutObject wants the ETag of an If-Match that it enforces; false where it enforces none. */
  readonly putMatch: 'quoted' | 'bare' | false;
  /** CompleteMultipartUpload enforces If-None-Match and If-Match. */
  readonly conditionalComplete: boolean;
  /** CopyObject enforces If-None-Match at the destination. */
  readonly conditionalCopy: boolean;
  /** CopyObject enforces x-amz-copy-source-if-match. */
  readonly copySourceCondition: boolean;
  /** PutObject takes these, and refuses bytes that do not match. */
  readonly verifiedSums: readonly BodySum[];
  /** Takes forms with a signed policy. */
  readonly postPolicy: boolean;
  /** Whether a presigned PUT takes bytes alone, does so with headers that are signed against copies, or has any object copied. */
  readonly presignedPuts: 'bound' | 'guarded' | 'open';
  /** The canned ACL of a form takes effect. */
  readonly formAcl: boolean;
  /** Forms may bring an object without a byte, and then no other. */
  readonly emptyForms: boolean;
  /** Undefined, as any of the following three, where the credentials could create no bucket to try it out: it shows when it is asked for. */
  readonly versioning: boolean | undefined;
  readonly lifecycle: boolean | undefined;
  /** Lifecycle rules may abort stale multipart uploads. */
  readonly abortRule: boolean | undefined;
  /** Buckets have CORS rules of their own. */
  readonly cors: boolean | undefined;
  /** DeleteBucket is refused while there are objects. Undefined where no bucket could be made to try it out. */
  readonly keepsFullBuckets: boolean | undefined;
  /** Lists leave out `x/y` while there is `x`. */
  readonly hidesKeysBelowObjects: boolean;
  /** Names of metadata keep their "_". */
  readonly keepsUnderscores: boolean;
  /** Metadata without a value is kept. */
  readonly keepsEmptyValues: boolean;
  /** A storage class of a write is kept, or refused, instead of being answered with 200 and forgotten. */
  readonly storageClasses: boolean;
  readonly refusedKeys: readonly KeyClass[];
}

/** AWS as documented. Buckets without ACLs say so themselves, with an error. */
export const awsProfile: EndpointProfile = {
  region: undefined,
  checksSignatures: true,
  acl: true,
  conditionalPut: true,
  conditionalPutOfVersions: true,
  putMatch: 'quoted',
  conditionalComplete: true,
  conditionalCopy: true,
  copySourceCondition: true,
  verifiedSums: ['md5', 'crc32', 'sha256'],
  postPolicy: true,
  presignedPuts: 'bound',
  formAcl: true,
  emptyForms: true,
  versioning: true,
  lifecycle: true,
  abortRule: true,
  cors: true,
  keepsFullBuckets: true,
  hidesKeysBelowObjects: false,
  keepsUnderscores: true,
  keepsEmptyValues: true,
  storageClasses: true,
  refusedKeys: [],
};

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
  // Where SeaweedFS keeps the parts of uploads, and versions.
  ['a segment ".uploads"', (key) => /(?:^|\/)\.uploads(?:\/|$)/.test(key)],
  ['segments that end with ".versions"', (key) => /\.versions(?:\/|$)/.test(key)],
  // As MinIO and RustFS spell a "/" at the end on their disks.
  ['segments that end with "__XLDIR__"', (key) => /__XLDIR__(?:\/|$)/.test(key)],
];

/** Whatever puts a key that is no longer than a segment may be into a class: one look at most keys is enough. */
const unusual = /[^ -$&-*,-@[\]-~]|[. /](?:\/|$)|(?:^|\/)[ /]|\.(?:uploads|versions)(?:\/|$)/;

export function keyClassesOf(key: string): readonly KeyClass[] {
  if (key.length <= 255 && !unusual.test(key)) return [];
  return tests.filter(([, holds]) => holds(key)).map(([name]) => name);
}

/** The kinds of which no key begins so: what is whole in it stays as it is, whatever follows. */
export function prefixClassesOf(prefix: string): readonly KeyClass[] {
  return keyClassesOf(prefix.slice(0, prefix.lastIndexOf('/') + 1)).filter(
    (name) => name !== 'a "/" at the end' && !everydayKeys.has(name),
  );
}

/** So many keys are of these that no server is tried out for them: what is found out on another occasion holds. */
export const everydayKeys: ReadonlySet<KeyClass> = new Set(['capital letters', 'a "+"', 'a "%"']);

/** Two keys for each class that a careless server merges: the first is of the class. */
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
  'segments that end with ".versions"': ['kept.versions/a', 'kept'],
  'segments that end with "__XLDIR__"': ['marker__XLDIR__', 'marker'],
};
