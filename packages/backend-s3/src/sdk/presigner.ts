import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';
import { createPresignedPost } from '@aws-sdk/s3-presigned-post';
import type { PresignedPostOptions } from '@aws-sdk/s3-presigned-post';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { ObjectAddress, PresignedUpload } from '@coffer/storage-core';

import { largestPut } from '../limits.ts';
import { presignedPut, signedHeaders } from '../presigner.ts';
import type { Presigner, UploadTerms } from '../presigner.ts';

/** @param signer for the endpoint that the URLs lead to */
export function sdkPresigner(signer: S3Client): Presigner {
  return {
    form: (at, options) => form(signer, at, options),
    putUrl: (at, options) => putUrl(signer, at, options),
    getUrl({ bucket, key }, { contentDisposition, contentType, expiresIn, method = 'GET' }) {
      const input = {
        Bucket: bucket,
        Key: key,
        ResponseContentDisposition: contentDisposition,
        ResponseContentType: contentType,
      };
      const command = method === 'HEAD' ? new HeadObjectCommand(input) : new GetObjectCommand(input);
      return getSignedUrl(signer, command, { expiresIn, signingDate: now(signer) });
    },
  };
}

/** The server's time, which the presigner itself ignores. */
function now(signer: S3Client): Date {
  return new Date(Date.now() + signer.config.systemClockOffset);
}

async function form(signer: S3Client, { bucket, key }: ObjectAddress, options: UploadTerms): Promise<PresignedUpload> {
  const { contentType, size, expiresIn, acl, storageClass } = options;
  const fields: Record<string, string> = {
    ...(contentType !== undefined && { 'Content-Type': contentType }),
    ...(acl !== undefined && { acl }),
    ...(storageClass !== undefined && { 'x-amz-storage-class': storageClass }),
  };
  const conditions: NonNullable<PresignedPostOptions['Conditions']> = [['content-length-range', size ?? 0, size ?? largestPut]];
  const post = await createPresignedPost(signer, { Bucket: bucket, Key: key, Fields: fields, Conditions: conditions, Expires: expiresIn });
  // The bucket is in the URL and in the policy. Some servers compare a field of that name with neither.
  const { bucket: _bucket, ...sent } = post.fields;
  return { method: 'POST', url: post.url, fields: sent, headers: {}, expiresIn };
}

async function putUrl(signer: S3Client, { bucket, key }: ObjectAddress, options: UploadTerms): Promise<PresignedUpload> {
  const { contentType, size, expiresIn } = options;
  const command = new PutObjectCommand({
    Bucket: bucket,
    Key: key,
    ContentType: contentType,
    ContentLength: size,
  });
  const named = signedHeaders(options);
  // The SDK has no parameter for some of them.
  command.middlewareStack.add(
    (next) => (args) => {
      Object.assign((args.request as { readonly headers: Record<string, string> }).headers, named);
      return next(args);
    },
    { step: 'build' },
  );
  const url = await getSignedUrl(signer, command, {
    expiresIn,
    signingDate: now(signer),
    signableHeaders: new Set([
      'host',
      ...(contentType === undefined ? [] : ['content-type']),
      ...(size === undefined ? [] : ['content-length']),
    ]),
    unhoistableHeaders: new Set(Object.keys(named)),
  });
  return presignedPut(url, options);
}
