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
  /** As it is sent, its parameters encoded and in order, each with a `=`. */
  readonly query: string;
  /** Lower-case names, each followed by its value, in order of the names; `host` is one of them. */
  readonly headers: readonly string[];
  /** Of the body, in lower-case hex, or `unsignedPayload`. */
  readonly payloadHash: string;
}

export const unsignedPayload = 'UNSIGNED-PAYLOAD';
export const algorithm = 'AWS4-HMAC-SHA256';

/** Signs for one region on one day. */
export interface Scope {
  /** For the credential: `AKIA…/20130524/us-east-1/s3/aws4_request`. */
  readonly credential: string;
  /** In hex, of a request, for the header or the query that then carries it. */
  sign(request: Signable, date: string): string;
  /** In hex, of any text: the policy of a form. */
  signText(text: string): string;
}

/** What one client signs with. The key of a scope costs four HMACs, so it is derived once a day; a date is spelled once a second. */
export class Signatures {
  #second = 0;
  #date = '';
  readonly #known = new Map<string, Scope & { readonly day: string; readonly secret: string }>();

  /** As `amzDate`. */
  date(time: number): string {
    const second = Math.floor(time / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#date = amzDate(time);
    }
    return this.#date;
  }

  /** @param date as `amzDate` gives it */
  scope({ accessKeyId, secretAccessKey: secret }: Keys, region: string, date: string): Scope {
    const day = date.slice(0, 8);
    const name = `${region} ${accessKeyId}`;
    const known = this.#known.get(name);
    if (known?.day === day && known.secret === secret) return known;
    if (this.#known.size >= 100) this.#known.clear(); // keys that rotate
    const range = `${day}/${region}/s3/aws4_request`;
    const derived = range.split('/').reduce<Buffer>((from, part) => Buffer.from(hmacWith(from)(part), 'hex'), Buffer.from(`AWS4${secret}`));
    const signText = hmacWith(derived);
    const scope = {
      day,
      secret,
      credential: `${accessKeyId}/${range}`,
      signText,
      sign: (request: Signable, at: string) =>
        signText(`${algorithm}\n${at}\n${range}\n${hash('sha256', Buffer.from(canonical(request), 'latin1'))}`),
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

/** The names of what is signed: `host;x-amz-date`. */
export function namesOf(headers: readonly string[]): string {
  let names = headers[0] ?? '';
  for (let index = 2; index < headers.length; index += 2) names += `;${headers[index]}`;
  return names;
}

/** Two lists of headers, both in order of their names, as one. */
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
  for (let index = 0; index < headers.length; index += 2) lines += `${headers[index]}:${squeezed(headers[index + 1] ?? '')}\n`;
  return `${method}\n${path}\n${query}\n${lines}\n${namesOf(headers)}\n${payloadHash}`;
}

function squeezed(value: string): string {
  return /^\s|\s\s|\s$/.test(value) ? value.trim().replace(/\s+/g, ' ') : value;
}

const blockSize = 64;
const hashSize = 32;

/**
 * HMAC-SHA256 in lower-case hex (RFC 2104). Two sums at once take half the time of `createHmac`, which makes an object of the
 * system's for each, that only a collection of the whole heap takes away.
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
    const most = blockSize + 3 * text.length;
    if (most > inner.length) inner = Buffer.concat([inner.subarray(0, blockSize)], most);
    const end = blockSize + inner.write(text, blockSize);
    outer.write(hash('sha256', inner.subarray(0, end)), blockSize, 'hex');
    return hash('sha256', outer);
  };
}

/** `20130524T000000Z` */
export function amzDate(time: number): string {
  return new Date(time).toISOString().replace(/[-:]|\.\d{3}/g, '');
}

/** For the value of a parameter, or one segment of a path. */
export function uriEncode(text: string): string {
  return /^[\w.~-]*$/.test(text) ? text : encodeURIComponent(text).replace(/[!'()*]/g, escaped);
}

/** A query of those that have a value, which are given in order. */
export function queryOf(parameters: readonly (readonly [string, string | number | undefined])[]): string {
  return parameters.flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${uriEncode(String(value))}`])).join('&');
}

/** A key as the path has it: every `/` is kept, as are segments that URLs would drop. */
export function encodeKey(key: string): string {
  return /^[\w.~/-]*$/.test(key) ? key : uriEncode(key).replaceAll('%2F', '/');
}

function escaped(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}
