import type { S3Client } from '@aws-sdk/client-s3';

import type { PayloadSigning } from '../signing/payload-signing.ts';
import type { Transport } from '../transport.ts';
import { sdkBuckets } from './buckets.ts';
import { sdkCopies } from './copies.ts';
import { sdkObjects } from './objects.ts';
import { sdkUploads } from './uploads.ts';

export function sdkTransport(client: S3Client, signing: PayloadSigning): Transport {
  return { ...sdkObjects(client, signing), ...sdkUploads(client, signing), ...sdkBuckets(client), ...sdkCopies(client) };
}
