import { CreateMultipartUploadCommand, ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';

import type { Env } from './cli.ts';

/** Keys of the multipart uploads of a bucket that are neither completed nor aborted. */
export async function openUploads(env: Env, bucket: string): Promise<readonly (string | undefined)[]> {
  const client = clientOf(env);
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  client.destroy();
  return Uploads.map(({ Key }) => Key);
}

/** Begins a multipart upload and leaves it unfinished. */
export async function openUpload(env: Env, { bucket, key }: { readonly bucket: string; readonly key: string }): Promise<void> {
  const client = clientOf(env);
  await client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: key }));
  client.destroy();
}

function clientOf(env: Env): S3Client {
  return new S3Client({
    endpoint: env['STORAGE_S3_ENDPOINT'] ?? '',
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: env['STORAGE_S3_ACCESS_KEY'] ?? '', secretAccessKey: env['STORAGE_S3_SECRET_KEY'] ?? '' },
  });
}
