import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';

import type { S3PeerOptions } from './s3-peer.ts';
import { sdkClient } from './sdk-client.ts';
import type { Calls } from './storage-calls.ts';

export function callsOf(options: S3PeerOptions): Calls {
  const client = sdkClient(options);
  const { bucket } = options;
  return {
    put: (key, body, size) =>
      client.send(
        new PutObjectCommand({ Bucket: bucket, Key: key, Body: body, ContentLength: size, ContentType: 'application/octet-stream' }),
      ),
    get: async (key) => {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
      return Body as AsyncIterable<unknown>;
    },
  };
}
