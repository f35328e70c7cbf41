import { hash } from 'node:crypto';

/** What signatures are made with. */
export interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** A request as the signature covers it. */
export interface Signable {
  readonly method: string;
  /** As it is sent: encoded once. */
  readonly path: string;
  /** As it is sent: parameters encoded and sorted, each with a `=`. */
  readonly query: string;
  /** Lower-case names, each followed by its value, sorted by name; includes `host`. */
  readonly headers: readonly string[];
  /** SHA-256 of the body in lower-case hex, or `unsignedPayload`. */
  readonly payloadHash: string;
}

export const unsignedPayload = 'UNSIGNED-PAYLOAD';
export const algorithm = 'AWS4-HMAC-SHA256';

/** Signs for one region on one day. */
export interface Scope {
  /** For the credential: `AKIA…/20130524/us-east-1/s3/aws4_request`. */
  readonly credential: string;
  /** The signature of a request in hex, for the header or query that carries it. */
  sign(request: Signable, date: string): string;
  /** The signature of any text in hex, such as the policy of a form. */
  signText(text: string): string;
}

/**
 * Caches what one client signs with. The key of a scope costs four HMACs and is derived once a day; the date is formatted once a second.
 */
export class Signatures {
  #second = 0;
  #date = '';
  readonly #known = new Map<string, Scope & { readonly day: string; readonly secret: string }>();

  /** Like `amzDate`. */
  date(time: number): string {
    const second = Math.floor(time / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#date = amzDate(time);
    }
    return this.#date;
  }

  /** @param date in the format of `amzDate` */
  scope({ accessKeyId, secretAccessKey: secret }: Keys, region: string, date: string): Scope {
    const day = date.slice(0, 8);
    const name = `${region} ${accessKeyId}`;
    const known = this.#known.get(name);
    if (known?.day === day && known.secret === secret) return known;
    if (this.#known.size >= 100) this.#known.clear(); // keys rotate
    const credentialScope = `${day}/${region}/s3/aws4_request`;
    const derived = credentialScope
      .split('/')
      .reduce<Buffer>((from, part) => Buffer.from(hmacWith(from)(part), 'hex'), Buffer.from(`AWS4${secret}`));
    const signText = hmacWith(derived);
    const scope = {
      day,
      secret,
      credential: `${accessKeyId}/${credentialScope}`,
      signText,
      sign: (request: Signable, at: string) =>
        signText(`${algorithm}\n${at}\n${credentialScope}\n${hash('sha256', Buffer.from(canonical(request), 'latin1'))}`),
    };
    this.#known.set(name, scope);
    return scope;
  }
}

/** The value of the `authorization` header. */
export function authorization(scope: Scope, request: Signable, date: string): string {
  const signature = scope.sign(request, date);
  return `${algorithm} Credential=${scope.credential}, SignedHeaders=${namesOf(request.headers)}, Signature=${signature}`;
}

/** The names of the signed headers: `host;x-amz-date`. */
export function namesOf(headers: readonly string[]): string {
  let names = headers[0] ?? '';
  for (let index = 2; index < headers.length; index += 2) names += `;${headers[index]}`;
  return names;
}

/** Merges two lists of headers that are sorted by name. */
export function merged(one: readonly string[], other: readonly string[]): string[] {
  const all: string[] = [];
  let index = 0;
  for (let next = 0; next < other.length; next += 2) {
    for (; index < one.length && one[index]! < other[next]!; index += 2) all.push(one[index]!, one[index + 1]!);
    all.push(other[next]!, other[next + 1]!);
  }
  for (; index < one.length; index++) all.push(one[index]!);
  return all;
}

function canonical({ method, path, query, headers, payloadHash }: Signable): string {
  let lines = '';
  for (let index = 0; index < headers.length; index += 2) lines += `${headers[index]}:${withSpacesCollapsed(headers[index + 1] ?? '')}\n`;
  return `${method}\n${path}\n${query}\n${lines}\n${namesOf(headers)}\n${payloadHash}`;
}

function withSpacesCollapsed(value: string): string {
  return /^\s|\s\s|\s$/.test(value) ? value.trim().replace(/\s+/g, ' ') : value;
}

const blockSize = 64;
const hashSize = 32;

/**
 * HMAC-SHA256 in lower-case hex (RFC 2104). Two one-shot hashes take half the time of `createHmac`, which allocates a native object each
 * time that only a full garbage collection frees.
 */
function hmacWith(key: Uint8Array): (text: string) => string {
  const short = key.length > blockSize ? hash('sha256', key, 'buffer') : key;
  const outer = Buffer.alloc(blockSize + hashSize, 0x5c);
  let inner = Buffer.alloc(1024, 0x36);
  for (const [index, byte] of short.entries()) {
    inner[index]! ^= byte;
    outer[index]! ^= byte;
  }
  outer.fill(0, blockSize);
  return (text) => {
    const maxBytes = blockSize + 3 * text.length;
    if (maxBytes > inner.length) inner = Buffer.concat([inner.subarray(0, blockSize)], maxBytes);
    const end = blockSize + inner.write(text, blockSize);
    outer.write(hash('sha256', inner.subarray(0, end)), blockSize, 'hex');
    return hash('sha256', outer);
  };
}

/** @param time milliseconds @returns for example `20130524T000000Z` */
export function amzDate(time: number): string {
  return new Date(time).toISOString().replace(/[-:]|\.\d{3}/g, '');
}

/** Encodes a parameter's value, or one segment of a path. */
export function uriEncode(text: string): string {
  return /^[\w.~-]*$/.test(text) ? text : encodeURIComponent(text).replace(/[!'()*]/g, escaped);
}

/** A query of the parameters that have a value, which must be sorted. */
export function queryOf(parameters: readonly (readonly [string, string | number | undefined])[]): string {
  return parameters.flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${uriEncode(String(value))}`])).join('&');
}

/** Encodes a key for the path. Keeps every `/`, and segments that URLs would drop. */
export function encodeKey(key: string): string {
  return /^[\w.~/-]*$/.test(key) ? key : uriEncode(key).replaceAll('%2F', '/');
}

function escaped(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}
