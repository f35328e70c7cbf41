import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { S3Client, StorageClass } from '@aws-sdk/client-s3';
import { createPresignedPost } from '@aws-sdk/s3-presigned-post';
import type { PresignedPostOptions } from '@aws-sdk/s3-presigned-post';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { ObjectAddress, PresignedUpload } from '@coffer/storage-core';

import { largestPut } from './limits.ts';
import { guards } from './presigner.ts';
import type { Presigner, UploadTerms } from './presigner.ts';
import type { Sdk } from './sdk-client.ts';

export function sdkPresigner({ client, signer }: Sdk): Presigner {
  return {
    form: (at, options) => form(signer, at, options),
    privateForm: (at, options) => form(client, at, options),
    putUrl: (at, options) => putUrl(signer, at, options),
    privatePutUrl: (at, options) => putUrl(client, at, options),
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

/** As the server has it: the presigner itself takes no notice. */
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
  // The bucket stands in the URL and in the policy; as a field, some servers do not compare it with either.
  const { bucket: _bucket, ...sent } = post.fields;
  return { method: 'POST', url: post.url, fields: sent, headers: {}, expiresIn };
}

async function putUrl(signer: S3Client, { bucket, key }: ObjectAddress, options: UploadTerms): Promise<PresignedUpload> {
  const { contentType, size, expiresIn, acl, storageClass, isGuarded = false } = options;
  const command = new PutObjectCommand({
    Bucket: bucket,
    Key: key,
    ContentType: contentType,
    ACL: acl,
    StorageClass: storageClass as StorageClass | undefined,
    ContentLength: size,
  });
  // Not in the query, where some servers overlook them: a header that is signed has to be sent.
  const named = {
    ...(acl !== undefined && { 'x-amz-acl': acl }),
    ...(isGuarded && guards),
    ...(storageClass !== undefined && { 'x-amz-storage-class': storageClass }),
  };
  if (isGuarded) {
    command.middlewareStack.add(
      (next) => (args) => {
        Object.assign((args.request as { readonly headers: Record<string, string> }).headers, guards);
        return next(args);
      },
      { step: 'build' },
    );
  }
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
  return {
    method: 'PUT',
    url,
    fields: {},
    headers: { ...(contentType !== undefined && { 'Content-Type': contentType }), ...named },
    expiresIn,
  };
}
