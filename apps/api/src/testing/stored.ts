import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';

import { ListBucketsCommand, ListMultipartUploadsCommand, ListObjectVersionsCommand, S3Client } from '@aws-sdk/client-s3';
import type { S3Server } from '@coffer/fixtures';

/** The files below a directory, without the local backend's own index. */
export async function filesBelow(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('index.db'))
    .map((entry) => join(relative(directory, entry.parentPath), entry.name))
    .sort();
}

/** Object versions and open multipart uploads in the buckets with this name prefix. Reads one page of each, since tests leave little. */
export async function heldByS3(server: S3Server, prefix: string): Promise<readonly string[]> {
  const client = clientOf(server);
  try {
    const { Buckets = [] } = await client.send(new ListBucketsCommand({}));
    const names = Buckets.map(({ Name = '' }) => Name).filter((name) => name.startsWith(prefix));
    const held = await Promise.all(
      names.map(async (Bucket) => {
        const [{ Versions = [] }, { Uploads = [] }] = await Promise.all([
          client.send(new ListObjectVersionsCommand({ Bucket })),
          client.send(new ListMultipartUploadsCommand({ Bucket })),
        ]);
        return [
          ...Versions.map(({ Key, ETag }) => `${Bucket}/${Key} ${ETag}`),
          ...Uploads.map(({ Key, UploadId }) => `${Bucket}/${Key} upload ${UploadId}`),
        ];
      }),
    );
    return held.flat().sort();
  } finally {
    client.destroy();
  }
}

/** A client of the provider itself, as its own tools are. */
export function clientOf({ endpoint, accessKey, secretKey }: S3Server): S3Client {
  const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
  return new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
}
