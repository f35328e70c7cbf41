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

export interface PresignSettings {
  /** Base of the URLs, under which the HTTP handler answers: `https://files.example.com`. */
  readonly baseUrl: string;
  /** At least 16 bytes, the same in every process that signs or serves. */
  readonly secret: string | Uint8Array;
}

const longestExpiry = 604_800;
const shortestSecret = 16;
// What a form signs cannot be taken for what a URL signs, which is JSON.
const formScope = 'form ';
const formFields: ReadonlySet<string> = new Set(['key', 'content-type', parameters.policy, parameters.signature]);

/** What is signed. A signature holds for one method, and is of no use with any other value in place of one of these. */
interface Claims extends WriteGrant {
  readonly method: 'GET' | 'PUT' | 'POST';
  /** Milliseconds since 1970. */
  readonly expires: number;
  readonly contentDisposition?: string;
}

/** Signs URLs and forms, and checks them: HMAC-SHA256 over everything that they allow. */
export class Signer {
  readonly operations: PresignOperations;
  readonly #base: string;
  readonly #key: Buffer;
  readonly #now: () => Date;

  constructor({ baseUrl, secret }: PresignSettings, now: () => Date) {
    if (Buffer.byteLength(secret) < shortestSecret) {
      throw storageError('invalid_argument', `The secret of presigned URLs has at least ${shortestSecret} bytes.`);
    }
    this.#base = baseUrl.replace(/\/+$/, '');
    // A key of its own, so that a secret that also signs tokens gives away nothing here.
    this.#key = createHmac('sha256', secret).update('coffer local presigned requests, version 1').digest();
    this.#now = now;
    this.operations = {
      upload: async (at, options, { tenant }) => {
        const grant = { ...grantOf(at, options), ...(tenant !== undefined && { tenant }) };
        return options.method === 'PUT' ? this.#put(grant, options) : this.#form(grant, options);
      },
      download: async (at, options, { tenant }) => this.#download({ ...at, ...(tenant !== undefined && { tenant }) }, options),
    };
  }

  readonly verifyRead: LocalAccess['verifyRead'] = (at, query) => {
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
    this.#verify({ method: 'GET', ...grant, expires: Number(query.get(parameters.expires)) }, query.get(parameters.signature));
    return grant;
  };

  readonly verifyWrite: LocalAccess['verifyWrite'] = (at, query) => {
    const size = query.get(parameters.size);
    const contentType = query.get(parameters.contentType);
    const acl = query.get(parameters.acl);
    const storageClass = query.get(parameters.storageClass);
    const tenant = query.get(parameters.tenant);
    const grant: WriteGrant = {
      bucket: at.bucket,
      key: at.key,
      ...(size !== null && { size: Number(size) }),
      ...(contentType !== null && { contentType }),
      ...(acl !== null && { acl: acl as CannedAcl }),
      ...(storageClass !== null && { storageClass }),
      ...(tenant !== null && { tenant }),
    };
    this.#verify({ method: 'PUT', ...grant, expires: Number(query.get(parameters.expires)) }, query.get(parameters.signature));
    return grant;
  };

  readonly verifyForm: LocalAccess['verifyForm'] = (bucket, fields) => {
    const policy = fields.get(parameters.policy);
    if (policy === undefined) throw denied('The form has no policy.');
    this.#assertSignature(`${formScope}${policy}`, fields.get(parameters.signature));
    const claims = JSON.parse(Buffer.from(policy, 'base64url').toString()) as Claims; // ours, as the signature says
    this.#assertFresh(claims);
    if (claims.method !== 'POST' || claims.bucket !== bucket || fields.get('key') !== claims.key) {
      throw denied('The form was signed for another object.');
    }
    const added = [...fields.keys()].find((name) => !formFields.has(name));
    if (added !== undefined) throw denied(`The form was signed without a field "${added}".`);
    const { method: _method, expires: _expires, ...grant } = claims;
    return grant;
  };

  #download(at: ReadGrant, options: PresignDownloadOptions): PresignedDownload {
    const { expiresIn, expires } = this.#expiry(options.expiresIn);
    const { contentDisposition, contentType } = options;
    const signature = this.#sign(
      canonical({
        method: 'GET',
        bucket: at.bucket,
        key: at.key,
        expires,
        ...(at.tenant !== undefined && { tenant: at.tenant }),
        ...(contentDisposition !== undefined && { contentDisposition }),
        ...(contentType !== undefined && { contentType }),
      }),
    );
    const query = new URLSearchParams({
      ...(contentDisposition !== undefined && { [parameters.responseDisposition]: contentDisposition }),
      ...(contentType !== undefined && { [parameters.responseType]: contentType }),
      ...(at.tenant !== undefined && { [parameters.tenant]: at.tenant }),
      [parameters.expires]: String(expires),
      [parameters.signature]: signature,
    });
    return { url: this.#url(at, query), expiresIn };
  }

  #put(grant: WriteGrant, options: PresignUploadOptions): PresignedUpload {
    const { expiresIn, expires } = this.#expiry(options.expiresIn);
    const claims: Claims = { method: 'PUT', ...grant, expires };
    const query = new URLSearchParams({
      ...(claims.size !== undefined && { [parameters.size]: String(claims.size) }),
      ...(claims.contentType !== undefined && { [parameters.contentType]: claims.contentType }),
      ...(claims.acl !== undefined && { [parameters.acl]: claims.acl }),
      ...(claims.storageClass !== undefined && { [parameters.storageClass]: claims.storageClass }),
      ...(claims.tenant !== undefined && { [parameters.tenant]: claims.tenant }),
      [parameters.expires]: String(expires),
      [parameters.signature]: this.#sign(canonical(claims)),
    });
    // Content-Length is signed as well, but no browser lets a script set it: it follows from the body.
    const headers: Record<string, string> = claims.contentType === undefined ? {} : { 'Content-Type': claims.contentType };
    return { method: 'PUT', url: this.#url(grant, query), fields: {}, headers, expiresIn };
  }

  #form(grant: WriteGrant, options: PresignUploadOptions): PresignedUpload {
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

  #expiry(asked: number): { readonly expiresIn: number; readonly expires: number } {
    const expiresIn = Math.min(asked, longestExpiry);
    return { expiresIn, expires: this.#now().getTime() + expiresIn * 1000 };
  }

  #sign(text: string): string {
    return createHmac('sha256', this.#key).update(text).digest('base64url');
  }

  #verify(claims: Claims, signature: string | null): void {
    this.#assertSignature(canonical(claims), signature ?? undefined);
    this.#assertFresh(claims);
  }

  #assertSignature(text: string, signature: string | undefined): void {
    const expected = Buffer.from(this.#sign(text));
    const given = Buffer.from(signature ?? '');
    if (expected.length !== given.length || !timingSafeEqual(expected, given)) {
      throw denied('The signature does not match the request.');
    }
  }

  #assertFresh({ expires }: Claims): void {
    if (!(this.#now().getTime() < expires)) throw denied('The signature has expired.');
  }
}

/** Without a secret nothing is signed, so nothing that claims to be is let in. */
export const refuseSigned: Pick<LocalAccess, 'verifyRead' | 'verifyWrite' | 'verifyForm'> = {
  verifyRead: refuse,
  verifyWrite: refuse,
  verifyForm: refuse,
};

function refuse(): never {
  throw denied('This storage serves no presigned requests.');
}

function denied(message: string): Error {
  return storageError('access_denied', message);
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

/** One spelling of the claims, in which no value can pass for two. */
function canonical(claims: Claims): string {
  const { method, bucket, key, expires, size, contentType, acl, storageClass, contentDisposition, tenant } = claims;
  return JSON.stringify([
    method,
    bucket,
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
