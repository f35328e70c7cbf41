import { createHmac, timingSafeEqual } from 'node:crypto';

import { assertStorageClass, encodeKey, storageError } from '@coffer/storage-core';
import type {
  CannedAcl,
  ObjectAddress,
  PresignDownloadOptions,
  PresignedDownload,
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

type InBucket<Grant> = Grant & Pick<Claims, 'bucketId'>;

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
      upload: async (at, options, { tenant, signal }) => {
        signal?.throwIfAborted();
        const bucketId = await this.#requireBucketId(at.bucket);
        const grant = { ...grantOf(at, options), ...(tenant !== undefined && { tenant }), bucketId };
        return options.method === 'PUT' ? this.#put(grant, options) : this.#form(grant, options);
      },
      download: async (at, options, { tenant, signal }) => {
        signal?.throwIfAborted();
        const bucketId = await this.#requireBucketId(at.bucket);
        return this.#download({ ...at, ...(tenant !== undefined && { tenant }), bucketId }, options);
      },
    };
  }

  readonly verifyRead: LocalAccess['verifyRead'] = async (at, query) => {
    const contentDisposition = query.get(parameters.responseDisposition);
    const contentType = query.get(parameters.responseType);
    const tenant = query.get(parameters.tenant);
    const grant: ReadGrant = {
      bucket: at.bucket,
      key: at.key,
      ...(contentDisposition !== null && { contentDisposition }),
      ...(contentType !== null && { contentType }),
      ...(tenant !== null && { tenant }),
    };
    await this.#verify({ method: 'GET', ...grant }, query);
    return grant;
  };

  readonly verifyWrite: LocalAccess['verifyWrite'] = async (at, query) => {
    const size = query.get(parameters.size);
    const contentType = query.get(parameters.contentType);
    const acl = query.get(parameters.acl);
    const storageClass = query.get(parameters.storageClass);
    const tenant = query.get(parameters.tenant);
    const grant: WriteGrant = {
      bucket: at.bucket,
      key: at.key,
      ...(size !== null && { size: bytesIn(size) }),
      ...(contentType !== null && { contentType }),
      ...(acl !== null && { acl: acl as CannedAcl }),
      ...(storageClass !== null && { storageClass }),
      ...(tenant !== null && { tenant }),
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
    if (claims.method !== 'POST' || claims.bucket !== bucket || fields.get('key') !== claims.key) {
      throw denied('The form was signed for another object.');
    }
    const added = [...fields.keys()].find((name) => !formFields.has(name));
    if (added !== undefined) throw denied(`The form was signed without a field "${added}".`);
    await this.#assertSameBucket(claims);
    const { method: _method, expires: _expires, bucketId: _bucketId, ...grant } = claims;
    return grant;
  };

  #download({ bucketId, ...at }: InBucket<ReadGrant>, options: PresignDownloadOptions): PresignedDownload {
    const { expiresIn, expires } = this.#expiry(options.expiresIn);
    const { contentDisposition, contentType } = options;
    const signature = this.#sign(
      canonical({
        method: 'GET',
        bucket: at.bucket,
        key: at.key,
        expires,
        bucketId,
        ...(at.tenant !== undefined && { tenant: at.tenant }),
        ...(contentDisposition !== undefined && { contentDisposition }),
        ...(contentType !== undefined && { contentType }),
      }),
    );
    const query = new URLSearchParams({
      ...(contentDisposition !== undefined && { [parameters.responseDisposition]: contentDisposition }),
      ...(contentType !== undefined && { [parameters.responseType]: contentType }),
      ...(at.tenant !== undefined && { [parameters.tenant]: at.tenant }),
      [parameters.bucketId]: String(bucketId),
      [parameters.expires]: String(expires),
      [parameters.signature]: signature,
    });
    return { url: this.#url(at, query), expiresIn };
  }

  #put(grant: InBucket<WriteGrant>, options: PresignUploadOptions): PresignedUpload {
    const { expiresIn, expires } = this.#expiry(options.expiresIn);
    const claims: Claims = { method: 'PUT', ...grant, expires };
    const query = new URLSearchParams({
      ...(claims.size !== undefined && { [parameters.size]: String(claims.size) }),
      ...(claims.contentType !== undefined && { [parameters.contentType]: claims.contentType }),
      ...(claims.acl !== undefined && { [parameters.acl]: claims.acl }),
      ...(claims.storageClass !== undefined && { [parameters.storageClass]: claims.storageClass }),
      ...(claims.tenant !== undefined && { [parameters.tenant]: claims.tenant }),
      [parameters.bucketId]: String(claims.bucketId),
      [parameters.expires]: String(expires),
      [parameters.signature]: this.#sign(canonical(claims)),
    });
    // The size is signed as well, but a script in a browser cannot set Content-Length; it follows from the body.
    const headers: Record<string, string> = claims.contentType === undefined ? {} : { 'Content-Type': claims.contentType };
    return { method: 'PUT', url: this.#url(grant, query), fields: {}, headers, expiresIn };
  }

  #form(grant: InBucket<WriteGrant>, options: PresignUploadOptions): PresignedUpload {
    const { expiresIn, expires } = this.#expiry(options.expiresIn);
    const claims: Claims = { method: 'POST', ...grant, expires };
    const policy = Buffer.from(JSON.stringify(claims)).toString('base64url');
    const fields = {
      key: grant.key,
      ...(claims.contentType !== undefined && { 'Content-Type': claims.contentType }),
      [parameters.policy]: policy,
      [parameters.signature]: this.#sign(`${formScope}${policy}`),
    };
    return { method: 'POST', url: `${this.#base}/local/${grant.bucket}`, fields, headers: {}, expiresIn };
  }

  #url(at: ObjectAddress, query: URLSearchParams): string {
    return `${this.#base}/local/${at.bucket}/${encodeKey(at.key)}?${query.toString()}`;
  }

  #expiry(requested: number): { readonly expiresIn: number; readonly expires: number } {
    const expiresIn = Math.min(requested, longestExpiry);
    return { expiresIn, expires: this.#now().getTime() + expiresIn * 1000 };
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
  return JSON.stringify([
    method,
    bucket,
    bucketId,
    key,
    expires,
    size ?? null,
    contentType ?? null,
    acl ?? null,
    storageClass ?? null,
    contentDisposition ?? null,
    tenant ?? null,
  ]);
}
