import { s3Backend } from '@coffer/backend-s3';
import { prometheusObserver } from '@coffer/metrics';
import { StorageService } from '@coffer/storage-core';
import { Registry } from 'prom-client';

import type { S3PeerOptions } from './s3-peer.ts';
import type { Calls } from './storage-calls.ts';

export function callsOf({ endpoint, accessKey, secretKey, bucket, sockets }: S3PeerOptions): Calls {
  const backend = s3Backend({ endpoint, accessKey, secretKey, maxPoolConnections: sockets });
  const storage = new StorageService({ backend, defaultBucket: bucket, observer: prometheusObserver({ register: new Registry() }) });
  return {
    put: (key, body, size) => storage.uploadFile({ key, body, contentType: 'application/octet-stream', size }),
    get: async (key) => (await storage.openFile({ key })).body,
  };
}
