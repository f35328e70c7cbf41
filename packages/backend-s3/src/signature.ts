import { createHmac, createSecretKey, hash } from 'node:crypto';

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

/** Scopes in use. The key of a scope costs four HMACs, so it is derived once a day. */
export class Signatures {
  readonly #known = new Map<string, Scope & { readonly day: string; readonly secret: string }>();

  /** @param date as `amzDate` gives it */
  scope({ accessKeyId, secretAccessKey: secret }: Keys, region: string, date: string): Scope {
    const day = date.slice(0, 8);
    const name = `${region} ${accessKeyId}`;
    const known = this.#known.get(name);
    if (known?.day === day && known.secret === secret) return known;
    if (this.#known.size >= 100) this.#known.clear(); // keys that rotate
    const range = `${day}/${region}/s3/aws4_request`;
    const derived = range.split('/').reduce<string | Buffer>((from, part) => hmac(from, part), `AWS4${secret}`);
    const key = createSecretKey(derived as Buffer); // a buffer would be made a key by each HMAC
    const signText = (text: string): string => createHmac('sha256', key).update(text).digest('hex');
    const scope = {
      day,
      secret,
      credential: `${accessKeyId}/${range}`,
      signText,
      sign: (request: Signable, at: string) => signText(`${algorithm}\n${at}\n${range}\n${hash('sha256', canonical(request))}`),
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

function canonical({ method, path, query, headers, payloadHash }: Signable): string {
  let lines = '';
  for (let index = 0; index < headers.length; index += 2) lines += `${headers[index]}:${squeezed(headers[index + 1] ?? '')}\n`;
  return `${method}\n${path}\n${query}\n${lines}\n${namesOf(headers)}\n${payloadHash}`;
}

function squeezed(value: string): string {
  return /^\s|\s\s|\s$/.test(value) ? value.trim().replace(/\s+/g, ' ') : value;
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

let lastSecond = 0;
let lastDate = '';

/** `20130524T000000Z` */
export function amzDate(time: number): string {
  const second = Math.floor(time / 1000);
  if (second !== lastSecond) {
    lastSecond = second;
    lastDate = new Date(second * 1000).toISOString().replace(/[-:]|\.000/g, '');
  }
  return lastDate;
}

/** For the value of a parameter, or one segment of a path. */
export function uriEncode(text: string): string {
  return /^[\w.~-]*$/.test(text) ? text : encodeURIComponent(text).replace(/[!'()*]/g, escaped);
}

/** A key as the path has it: every `/` is kept, as are segments that URLs would drop. */
export function encodeKey(key: string): string {
  return /^[\w.~/-]*$/.test(key) ? key : uriEncode(key).replaceAll('%2F', '/');
}

function escaped(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}
