import type { PutObjectCommand, PutObjectCommandInput } from '@aws-sdk/client-s3';

import type { CarriedHeaders, WriteHeaders } from './transport.ts';

const hashHeader = 'x-amz-content-sha256';

/** What the signature covers in place of the body: over TLS nothing; in the clear its hash, which is made once. */
export function payloadHash(signsPayload: boolean, sha256?: string): string | undefined {
  return signsPayload ? sha256 : 'UNSIGNED-PAYLOAD';
}

type Stack = PutObjectCommand['middlewareStack'];

/** Hashing is left to the SDK without. */
export function withHash(stack: Stack, hash: string | undefined): void {
  if (hash === undefined) return;
  stack.add(
    (next) => (args) => {
      (args.request as { readonly headers: Record<string, string> }).headers[hashHeader] = hash;
      return next(args);
    },
    { step: 'build', name: 'payloadHash' },
  );
}

type WriteInput = Pick<PutObjectCommandInput, 'ContentType' | 'Metadata' | 'ACL' | 'StorageClass' | 'IfNoneMatch' | 'IfMatch'>;

export function writeInput({ contentType, metadata, acl, storageClass, ifNoneMatch, ifMatch }: WriteHeaders): WriteInput {
  return {
    ContentType: contentType,
    ...(metadata !== undefined && { Metadata: { ...metadata } }),
    ...(acl !== undefined && acl !== 'private' && { ACL: acl }),
    ...(storageClass !== undefined && { StorageClass: storageClass as NonNullable<PutObjectCommandInput['StorageClass']> }),
    ...(ifNoneMatch !== undefined && { IfNoneMatch: ifNoneMatch }),
    ...(ifMatch !== undefined && { IfMatch: ifMatch }),
  };
}

type CarriedInput = Pick<PutObjectCommandInput, 'CacheControl' | 'ContentDisposition' | 'ContentEncoding' | 'ContentLanguage'>;

export function carriedInput({ cacheControl, contentDisposition, contentEncoding, contentLanguage }: CarriedHeaders): CarriedInput {
  return {
    ...(cacheControl !== undefined && { CacheControl: cacheControl }),
    ...(contentDisposition !== undefined && { ContentDisposition: contentDisposition }),
    ...(contentEncoding !== undefined && { ContentEncoding: contentEncoding }),
    ...(contentLanguage !== undefined && { ContentLanguage: contentLanguage }),
  };
}
