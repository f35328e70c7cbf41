import { HeadBucketCommand, ListBucketsCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import type { ListObjectsV2CommandOutput, S3Client } from '@aws-sdk/client-s3';
import type { ListPage } from '@coffer/storage-core';

import { call } from '../call.ts';
import { pageEnd } from '../documents/list.ts';
import { urlDecoded } from '../documents/url-encoding.ts';
import { unquoted } from '../etag.ts';
import type { Transport } from '../transport.ts';

export function sdkBuckets(client: S3Client): Pick<Transport, 'list' | 'headBucket' | 'listBuckets'> {
  return {
    list(bucket, { prefix, delimiter, maxKeys, continuationToken, startAfter }, ctx) {
      const command = new ListObjectsV2Command({
        Bucket: bucket,
        EncodingType: 'url', // XML cannot hold every key
        Prefix: prefix,
        Delimiter: delimiter,
        MaxKeys: maxKeys,
        ContinuationToken: continuationToken,
        StartAfter: startAfter,
      });
      return call({ bucket, permission: 's3:ListBucket' }, ctx, async (options) => pageOf(await client.send(command, options)));
    },

    headBucket: (bucket, ctx) =>
      call({ bucket, permission: 's3:ListBucket' }, ctx, async (options) => {
        return (await client.send(new HeadBucketCommand({ Bucket: bucket }), options)).BucketRegion;
      }),

    listBuckets({ maxBuckets, prefix, continuationToken }, ctx) {
      const command = new ListBucketsCommand({
        MaxBuckets: maxBuckets,
        Prefix: prefix,
        ContinuationToken: continuationToken,
      });
      return call({ permission: 's3:ListAllMyBuckets' }, ctx, async (options) => {
        const { Buckets = [], ContinuationToken: next } = await client.send(command, options);
        const buckets = Buckets.flatMap(({ Name: name, CreationDate: createdAt = new Date(0), BucketRegion: region }) =>
          name === undefined ? [] : [{ name, createdAt, ...(region !== undefined && { region }) }],
        );
        return next === undefined || next === '' ? { buckets } : { buckets, continuationToken: next };
      });
    },
  };
}

function pageOf(output: ListObjectsV2CommandOutput): ListPage {
  const decode = output.EncodingType === 'url' ? urlDecoded : String;
  const page = {
    objects: (output.Contents ?? []).map(({ Key = '', Size = 0, ETag, LastModified = new Date(0), StorageClass = 'STANDARD' }) => ({
      key: decode(Key),
      size: Size,
      etag: unquoted(ETag),
      lastModified: LastModified,
      storageClass: StorageClass,
    })),
    commonPrefixes: (output.CommonPrefixes ?? []).map(({ Prefix = '' }) => decode(Prefix)),
  };
  const next = output.NextContinuationToken ?? '';
  return { ...page, ...pageEnd(output.IsTruncated ?? next !== '', next) };
}
