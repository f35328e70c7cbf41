import type { S3Client } from '@aws-sdk/client-s3';

import { sdkBuckets } from './sdk-buckets.ts';
import { sdkObjects } from './sdk-objects.ts';
import { sdkUploads } from './sdk-uploads.ts';
import type { Transport } from './transport.ts';

/** All calls through the AWS SDK. */
export function sdkTransport(client: S3Client, signsPayload: boolean): Transport {
  return { ...sdkObjects(client, signsPayload), ...sdkUploads(client, signsPayload), ...sdkBuckets(client) };
}
