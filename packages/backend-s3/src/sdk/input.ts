import { hash } from 'node:crypto';

import type { PutObjectCommand, PutObjectCommandInput } from '@aws-sdk/client-s3';

import type { PayloadSigning } from '../signing/payload-signing.ts';
import { unsignedPayload } from '../signing/signature.ts';
import type { CarriedHeaders, WriteHeaders } from '../transport.ts';

type Stack = PutObjectCommand['middlewareStack'];

/**
 * Sets what is signed for the body: its hash if known or required, otherwise UNSIGNED-PAYLOAD. If the hash is required but unknown, the SDK
 * computes it.
 */
export function withHash(stack: Stack, signing: PayloadSigning, sha256?: string): void {
  const known = sha256 ?? (signing.isRequired ? undefined : unsignedPayload);
  if (known !== undefined) setHash(stack, known);
}

/** For buckets that insist on it. */
export function md5For(signing: PayloadSigning, bucket: string, data: Uint8Array): { readonly ContentMD5?: string } {
  return signing.wantsMd5(bucket) ? { ContentMD5: hash('md5', data, 'base64') } : {};
}

export function setHash(stack: Stack, value: string): void {
  setHeader(stack, 'x-amz-content-sha256', value);
}

function setHeader(stack: Stack, name: string, value: string): void {
  stack.add(
    (next) => (args) => {
      (args.request as { readonly headers: Record<string, string> }).headers[name] = value;
      return next(args);
    },
    { step: 'build', name },
  );
}

type WriteInput = Pick<
  PutObjectCommandInput,
  'ContentType' | 'Metadata' | 'ACL' | 'StorageClass' | 'IfNoneMatch' | 'IfMatch' | 'ChecksumCRC32' | 'ChecksumSHA256'
>;

export function writeInput(headers: Partial<WriteHeaders>): WriteInput {
  const { contentType, metadata, acl, storageClass, ifNoneMatch, ifMatch, checksum } = headers;
  return {
    ContentType: contentType,
    Metadata: metadata && { ...metadata },
    ACL: acl,
    StorageClass: storageClass as PutObjectCommandInput['StorageClass'],
    IfNoneMatch: ifNoneMatch,
    IfMatch: ifMatch,
    ChecksumCRC32: checksum?.algorithm === 'crc32' ? checksum.base64 : undefined,
    ChecksumSHA256: checksum?.algorithm === 'sha256' ? checksum.base64 : undefined,
  };
}

/** The SDK would write only dates, and each in the usual form. */
export function withExpires(stack: Stack, { expires }: CarriedHeaders): void {
  if (expires !== undefined) setHeader(stack, 'expires', expires);
}

type CarriedInput = Pick<
  PutObjectCommandInput,
  'CacheControl' | 'ContentDisposition' | 'ContentEncoding' | 'ContentLanguage' | 'WebsiteRedirectLocation'
>;

/** All but `expires`; see `withExpires`. */
export function carriedInput(carried: CarriedHeaders): CarriedInput {
  const { cacheControl, contentDisposition, contentEncoding, contentLanguage, websiteRedirect } = carried;
  return {
    CacheControl: cacheControl,
    ContentDisposition: contentDisposition,
    ContentEncoding: contentEncoding,
    ContentLanguage: contentLanguage,
    WebsiteRedirectLocation: websiteRedirect,
  };
}
