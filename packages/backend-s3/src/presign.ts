import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';
import { createPresignedPost } from '@aws-sdk/s3-presigned-post';
import type { PresignedPostOptions } from '@aws-sdk/s3-presigned-post';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { ObjectAddress, PresignedUpload, PresignOperations, PresignUploadOptions } from '@coffer/storage-core';

import { call } from './call.ts';
import { writeInput } from './sdk-transport.ts';
import { assertAclHolds, assertKeyHolds } from './store.ts';
import type { Store } from './store.ts';

const longestExpiry = 604_800;
const largestObject = 5 * 2 ** 30;

export function presignOperations(store: Store): PresignOperations {
  const { signer } = store.connection;
  return {
    async upload(at, options, ctx) {
      await assertKeyHolds(store, at, ctx);
      await assertAclHolds(store, at.bucket, options.acl);
      const isForm = options.method !== 'PUT' && !at.key.includes('${filename}') && (await store.profile(at.bucket)).postPolicy;
      return call({ ...at, permission: 's3:PutObject' }, ctx, async () => {
        const expiresIn = await expiryOf(store, options.expiresIn);
        return isForm ? form(signer, at, { ...options, expiresIn }) : putUrl(signer, at, { ...options, expiresIn });
      });
    },
    async download(at, options, ctx) {
      await assertKeyHolds(store, at, ctx);
      const { contentDisposition, contentType } = options;
      const command = new GetObjectCommand({
        Bucket: at.bucket,
        Key: at.key,
        ...(contentDisposition !== undefined && { ResponseContentDisposition: contentDisposition }),
        ...(contentType !== undefined && { ResponseContentType: contentType }),
      });
      return call({ ...at, permission: 's3:GetObject' }, ctx, async () => {
        const expiresIn = await expiryOf(store, options.expiresIn);
        return { url: await getSignedUrl(signer, command, { expiresIn }), expiresIn };
      });
    },
  };
}

/** A signature lives no longer than what it was made with. */
async function expiryOf({ client, connection }: Store, asked: number): Promise<number> {
  const { expiration } = await client.config.credentials();
  // What the client has learnt of the server's clock holds for what is signed here.
  connection.signer.config.systemClockOffset = client.config.systemClockOffset;
  const left = expiration === undefined ? longestExpiry : Math.floor((expiration.getTime() - Date.now()) / 1000);
  return Math.max(1, Math.min(asked, longestExpiry, left));
}

/** A form whose policy binds the key, the type and the size. */
export async function form(signer: S3Client, { bucket, key }: ObjectAddress, options: PresignUploadOptions): Promise<PresignedUpload> {
  const { contentType, size, expiresIn, acl, storageClass } = options;
  const fields: Record<string, string> = {
    ...(contentType !== undefined && { 'Content-Type': contentType }),
    ...(acl !== undefined && acl !== 'private' && { acl }),
    ...(storageClass !== undefined && { 'x-amz-storage-class': storageClass }),
  };
  const conditions: NonNullable<PresignedPostOptions['Conditions']> = [['content-length-range', size ?? 0, size ?? largestObject]];
  const post = await createPresignedPost(signer, { Bucket: bucket, Key: key, Fields: fields, Conditions: conditions, Expires: expiresIn });
  // The bucket stands in the URL and in the policy; as a field, some servers do not compare it with either.
  const { bucket: _bucket, ...sent } = post.fields;
  return { method: 'POST', url: post.url, fields: sent, headers: {}, expiresIn };
}

/** A URL whose signature covers the type and the length; the length is a header that browsers set by themselves. */
async function putUrl(signer: S3Client, { bucket, key }: ObjectAddress, options: PresignUploadOptions): Promise<PresignedUpload> {
  const { contentType, size, expiresIn, acl, storageClass } = options;
  const { ContentType: _type, ...described } = writeInput({
    contentType: '',
    ...(acl !== undefined && { acl }),
    ...(storageClass !== undefined && { storageClass }),
  });
  const command = new PutObjectCommand({
    Bucket: bucket,
    Key: key,
    ...described,
    ...(contentType !== undefined && { ContentType: contentType }),
    ...(size !== undefined && { ContentLength: size }),
  });
  // Not in the query, where some servers overlook them: a header that is signed has to be sent.
  const named = {
    ...(described.ACL && { 'x-amz-acl': described.ACL }),
    ...(storageClass !== undefined && { 'x-amz-storage-class': storageClass }),
  };
  const url = await getSignedUrl(signer, command, {
    expiresIn,
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
