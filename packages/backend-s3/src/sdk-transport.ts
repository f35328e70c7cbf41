import type { S3Client } from '@aws-sdk/client-s3';

import type { PayloadSigning } from './payload-signing.ts';
import { sdkBuckets } from './sdk-buckets.ts';
import { sdkCopies } from './sdk-copies.ts';
import { sdkObjects } from './sdk-objects.ts';
import { sdkUploads } from './sdk-uploads.ts';
import type { Transport } from './transport.ts';

/** All calls through the AWS SDK. */
export function sdkTransport(client: S3Client, signing: PayloadSigning): Transport {
  return { ...sdkObjects(client, signing), ...sdkUploads(client, signing), ...sdkBuckets(client), ...sdkCopies(client) };
}
