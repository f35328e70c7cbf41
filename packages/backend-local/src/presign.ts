import { createHmac, timingSafeEqual } from 'node:crypto';

import { assertStorageClass, encodeKey, storageError } from '@coffer/storage-core';
import type {
  CallContext,
  CannedAcl,
  ObjectAddress,
  PresignDownloadOptions,
  PresignedUpload,
  PresignOperations,
  PresignUploadOptions,
} from '@coffer/storage-core';

import { parameters } from './access.ts';
import type { LocalAccess, ReadGrant, WriteGrant } from './access.ts';
import { noSuchBucket } from './bucket-index.ts';

/** How a local backend makes presigned URLs. */
export interface PresignSettings {
  /** Base of the URLs, where the HTTP handler is reachable: `https://files.example.com`. */
  readonly baseUrl: string;
  /** At least 16 bytes, and the same in every process that signs or serves. */
  readonly secret: string | Uint8Array;
}

const longestExpiry = 604_800;
const shortestSecret = 16;
// Prefix of what a form signs. URLs sign JSON, so neither signature passes for the other.
const formScope = 'form ';
const formFields: ReadonlySet<string> = new Set(['key', 'content-type', parameters.policy, parameters.signature]);

/** What is signed. A signature is valid for one method and for exactly these values. */
interface Claims extends WriteGrant {
  readonly method: 'GET' | 'PUT' | 'POST';
  /** Milliseconds since 1970. */
  readonly expires: number;
  /** Keeps a signature from being valid for a later bucket of the same name. */
  readonly bucketId: number;
  readonly contentDisposition?: string;
}

/** The claims that a URL may carry beside those of every URL, and the parameters that hold them. */
const carried = {
  GET: { contentDisposition: parameters.responseDisposition, contentType: parameters.responseType, tenant: parameters.tenant },
  PUT: {
    size: parameters.size,
    contentType: parameters.contentType,
    acl: parameters.acl,
    storageClass: parameters.storageClass,
    tenant: parameters.tenant,
  },
} as const;

/** Resolves to undefined when there is no such bucket. */
type FindBucketId = (bucket: string) => Promise<number | undefined>;

/** @throws invalid_argument for invalid settings, as from a variable that is not set */
function assertSettings(baseUrl: string | undefined, secret: string | Uint8Array | undefined): void {
  if (secret === undefined || Buffer.byteLength(secret) < shortestSecret) {
    throw storageError('invalid_argument', `The secret of presigned URLs must have at least ${shortestSecret} bytes.`);
  }
  if (!/^https?:$/.test(URL.parse(baseUrl ?? '')?.protocol ?? '')) {
    throw storageError('invalid_argument', 'The baseUrl of presigned URLs must be a URL that begins with http:// or https://.');
  }
}

/** Signs and verifies URLs and forms: HMAC-SHA256 over everything that they allow. */
export class Signer {
  readonly operations: PresignOperations;
  readonly #base: string;
  readonly #key: Buffer;
  readonly #now: () => Date;
  readonly #bucketIdOf: FindBucketId;

  constructor({ baseUrl, secret }: PresignSettings, now: () => Date, bucketIdOf: FindBucketId) {
    assertSettings(baseUrl, secret);
    this.#base = baseUrl.replace(/\/+$/, '');
    // A derived key, so that a secret that also signs tokens reveals nothing here.
    this.#key = createHmac('sha256', secret).update('coffer local presigned requests, version 1').digest();
    this.#now = now;
    this.#bucketIdOf = bucketIdOf;
    this.operations = {
      upload: async (at, options, ctx) => {
        const claims = await this.#claims({ method: options.method ?? 'POST', ...grantOf(at, options) }, options, ctx);
        return { ...this.#upload(claims), expiresIn: lifetimeOf(options) };
      },
      download: async ({ bucket, key }, options, ctx) => {
        const { contentDisposition, contentType } = options;
        const grant: ReadGrant = {
          bucket,
          key,
          ...(contentDisposition !== undefined && { contentDisposition }),
          ...(contentType !== undefined && { contentType }),
        };
        const claims = await this.#claims({ method: 'GET', ...grant }, options, ctx);
        return { url: this.#url(claims, 'GET'), expiresIn: lifetimeOf(options) };
      },
    };
  }

  readonly verifyRead: LocalAccess['verifyRead'] = async ({ bucket, key }, query) => {
    const grant: ReadGrant = { bucket, key, ...claimsIn(query, 'GET') };
    await this.#verify({ method: 'GET', ...grant }, query);
    return grant;
  };

  readonly verifyWrite: LocalAccess['verifyWrite'] = async ({ bucket, key }, query) => {
    const { size, acl, ...rest } = claimsIn(query, 'PUT');
    const grant: WriteGrant = {
      bucket,
      key,
      ...rest,
      ...(size !== undefined && { size: bytesIn(size) }),
      ...(acl !== undefined && { acl: acl as CannedAcl }),
    };
    await this.#verify({ method: 'PUT', ...grant }, query);
    return grant;
  };

  readonly verifyForm: LocalAccess['verifyForm'] = async (bucket, fields) => {
    const policy = fields.get(parameters.policy);
    if (policy === undefined) throw denied('The form has no policy before its file; send all fields before the file.');
    this.#assertSignature(`${formScope}${policy}`, fields.get(parameters.signature));
    const claims = JSON.parse(Buffer.from(policy, 'base64url').toString()) as Claims; // our own JSON: the signature proves it
    this.#assertFresh(claims);
    if (claims.bucket !== bucket || fields.get('key') !== claims.key) {
      throw denied('The form was signed for another object.');
    }
    const added = [...fields.keys()].find((name) => !formFields.has(name));
    if (added !== undefined) throw denied(`The form was signed without a field "${added}".`);
    await this.#assertSameBucket(claims);
    const { method: _method, expires: _expires, bucketId: _bucketId, ...grant } = claims;
    return grant;
  };

  async #claims(grant: Omit<Claims, 'bucketId' | 'expires'>, options: Lifetime, { tenant, signal }: CallContext): Promise<Claims> {
    signal?.throwIfAborted();
    const bucketId = await this.#requireBucketId(grant.bucket);
    return { ...grant, ...(tenant !== undefined && { tenant }), bucketId, expires: this.#now().getTime() + lifetimeOf(options) * 1000 };
  }

  #upload(claims: Claims): Omit<PresignedUpload, 'expiresIn'> {
    const { method, bucket, key, contentType } = claims;
    const type = contentType === undefined ? {} : { 'Content-Type': contentType };
    // The size is signed as well, but a script in a browser cannot set Content-Length; it follows from the body.
    if (method === 'PUT') return { method, url: this.#url(claims, method), fields: {}, headers: type };
    const policy = Buffer.from(JSON.stringify(claims)).toString('base64url');
    const fields = { key, ...type, [parameters.policy]: policy, [parameters.signature]: this.#sign(`${formScope}${policy}`) };
    return { method: 'POST', url: `${this.#base}/local/${bucket}`, fields, headers: {} };
  }

  #url(claims: Claims, method: keyof typeof carried): string {
    const query = new URLSearchParams();
    for (const [claim, name] of Object.entries(carried[method])) {
      const value = claims[claim as keyof Claims];
      if (value !== undefined) query.set(name, String(value));
    }
    query.set(parameters.bucketId, String(claims.bucketId));
    query.set(parameters.expires, String(claims.expires));
    query.set(parameters.signature, this.#sign(canonical(claims)));
    return `${this.#base}/local/${claims.bucket}/${encodeKey(claims.key)}?${query.toString()}`;
  }

  #sign(text: string): string {
    return createHmac('sha256', this.#key).update(text).digest('base64url');
  }

  async #verify(request: Omit<Claims, 'bucketId' | 'expires'>, query: URLSearchParams): Promise<void> {
    const claims = { ...request, expires: Number(query.get(parameters.expires)), bucketId: Number(query.get(parameters.bucketId)) };
    this.#assertSignature(canonical(claims), query.get(parameters.signature) ?? undefined);
    this.#assertFresh(claims);
    await this.#assertSameBucket(claims);
  }

  async #assertSameBucket({ bucket, bucketId }: Claims): Promise<void> {
    if ((await this.#requireBucketId(bucket)) !== bucketId)
      throw denied('The bucket that this was signed for was deleted; the current bucket of that name is a different one.');
  }

  /** @throws no_such_bucket */
  async #requireBucketId(bucket: string): Promise<number> {
    const id = await this.#bucketIdOf(bucket);
    if (id === undefined) throw noSuchBucket(bucket);
    return id;
  }

  #assertSignature(text: string, signature: string | undefined): void {
    const expected = Buffer.from(this.#sign(text));
    const actual = Buffer.from(signature ?? '');
    if (expected.length !== actual.length || !timingSafeEqual(expected, actual)) {
      throw denied('The signature does not match the request.');
    }
  }

  #assertFresh({ expires }: Claims): void {
    if (!(this.#now().getTime() < expires)) throw denied('The signature has expired.');
  }
}

/** Without a secret nothing is signed, so every signed request is refused. */
export const refuseSigned: Pick<LocalAccess, 'verifyRead' | 'verifyWrite' | 'verifyForm'> = {
  verifyRead: refuse,
  verifyWrite: refuse,
  verifyForm: refuse,
};

async function refuse(): Promise<never> {
  throw denied('This storage serves no presigned requests.');
}

function denied(message: string): Error {
  return storageError('access_denied', message);
}

type Lifetime = Pick<PresignDownloadOptions, 'expiresIn'>;

function lifetimeOf({ expiresIn }: Lifetime): number {
  return Math.min(expiresIn, longestExpiry);
}

type Carried<Method extends keyof typeof carried> = { readonly [claim in keyof (typeof carried)[Method]]?: string };

/** What the parameters of a URL claim; only its signature proves it. */
function claimsIn<Method extends keyof typeof carried>(query: URLSearchParams, method: Method): Carried<Method> {
  const found: Record<string, string> = {};
  for (const [claim, name] of Object.entries<string>(carried[method])) {
    const value = query.get(name);
    if (value !== null) found[claim] = value;
  }
  return found as Carried<Method>;
}

/** A size that is not a number, or too large for one, would be signed as if there were no size. */
function bytesIn(size: string): number {
  if (!/^\d{1,16}$/.test(size)) throw denied('The signature does not match the request.');
  return Number(size);
}

function grantOf(at: ObjectAddress, { size, contentType, acl, storageClass }: PresignUploadOptions): WriteGrant {
  if (storageClass !== undefined) assertStorageClass(storageClass);
  return {
    bucket: at.bucket,
    key: at.key,
    ...(size !== undefined && { size }),
    ...(contentType !== undefined && { contentType }),
    ...(acl !== undefined && { acl }),
    ...(storageClass !== undefined && { storageClass }),
  };
}

/** A unique serialization of the claims: no two sets of claims give the same text. */
function canonical(claims: Claims): string {
  const { method, bucket, bucketId, key, expires, size, contentType, acl, storageClass, contentDisposition, tenant } = claims;
  // What is undefined becomes null.
  return JSON.stringify([method, bucket, bucketId, key, expires, size, contentType, acl, storageClass, contentDisposition, tenant]);
}
