import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { hasCode, storageError } from '@coffer/storage-core';
import type { CallContext, ListOptions, ListPage } from '@coffer/storage-core';

import { call } from './call.ts';
import { bare } from './sdk-transport.ts';
import type { Store } from './store.ts';

export async function listObjects(store: Store, bucket: string, options: ListOptions, ctx: CallContext): Promise<ListPage> {
  const { prefix, delimiter, maxKeys, continuationToken } = options;
  const command = new ListObjectsV2Command({
    Bucket: bucket,
    EncodingType: 'url', // XML cannot hold every key
    ...(prefix !== undefined && { Prefix: prefix }),
    ...(delimiter !== undefined && { Delimiter: delimiter }),
    ...(maxKeys !== undefined && { MaxKeys: maxKeys }),
    ...(continuationToken !== undefined && { ContinuationToken: continuationToken }),
  });
  const output = await call({ bucket, permission: 's3:ListBucket' }, ctx, (sending) => store.client.send(command, sending)).catch(
    (error: unknown) => {
      const isOfToken = continuationToken !== undefined && (hasCode(error, 'invalid_key') || hasCode(error, 'not_supported'));
      if (!isOfToken && !hasCode(error, 'invalid_key')) throw error;
      if (isOfToken) throw storageError('invalid_argument', 'The continuation token is not one that a listing gave out.');
      return undefined;
    },
  );
  // No key begins as the server lets none begin.
  if (output === undefined) return { objects: [], commonPrefixes: [], isTruncated: false };
  const decode = output.EncodingType === 'url' ? decoded : (text: string): string => text;
  const page = {
    objects: (output.Contents ?? []).map(({ Key = '', Size = 0, ETag, LastModified = new Date(0), StorageClass = 'STANDARD' }) => ({
      key: decode(Key),
      size: Size,
      etag: bare(ETag),
      lastModified: LastModified,
      storageClass: StorageClass,
    })),
    commonPrefixes: (output.CommonPrefixes ?? []).map(({ Prefix = '' }) => decode(Prefix)),
  };
  const next = output.NextContinuationToken;
  if (output.IsTruncated !== true || next === undefined) return { ...page, isTruncated: false };
  return { ...page, isTruncated: true, nextContinuationToken: next };
}

/** As forms are encoded: some servers write a space as `+`. */
export function decoded(text: string): string {
  return decodeURIComponent(text.replaceAll('+', '%20'));
}
