import { Agent } from 'node:http';

import { S3Client } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';

import type { S3PeerOptions } from './s3-peer.ts';

/** The AWS SDK as a team would set it up, with an agent of its own. */
export function sdkClient({ endpoint, accessKey, secretKey, sockets }: S3PeerOptions): S3Client {
  return new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
    // With the default, Ceph 16 refuses every stream.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: new NodeHttpHandler({ httpAgent: new Agent({ keepAlive: true, maxSockets: sockets }) }),
  });
}
