import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';

import type { Env } from './cli.ts';

/** Keys of the multipart uploads of a bucket that are neither complete nor aborted. */
export async function openUploads(env: Env, bucket: string): Promise<readonly (string | undefined)[]> {
  const client = new S3Client({
    endpoint: env['STORAGE_S3_ENDPOINT'] ?? '',
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: env['STORAGE_S3_ACCESS_KEY'] ?? '', secretAccessKey: env['STORAGE_S3_SECRET_KEY'] ?? '' },
  });
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  client.destroy();
  return Uploads.map(({ Key }) => Key);
}
