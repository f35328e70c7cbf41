// Calls to S3 from within a process, as an application makes them: by `StorageService` with its metrics, or by the AWS SDK alone.
import { Agent } from 'node:http';
import { Readable } from 'node:stream';

import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { s3Backend } from '@coffer/backend-s3';
import { prometheusObserver } from '@coffer/metrics';
import { StorageService } from '@coffer/storage-core';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { Registry } from 'prom-client';

import { matches, pieces } from '../load/generated-bytes.ts';
import type { S3PeerOptions } from './s3-peer.ts';

export type Door = 'service' | 'sdk';

export interface CallsJob {
  readonly call: 'put' | 'put stream' | 'get';
  /** Of the key, which the number of the call follows. */
  readonly prefix: string;
  readonly size: number;
  readonly count: number;
  readonly atOnce: number;
  /** What is compared of that which comes back; the ends cost next to nothing. */
  readonly compared: 'all' | 'ends';
}

export type CallsReply = { readonly seconds: number } | { readonly error: string };

interface Calls {
  readonly put: (key: string, body: Buffer | Readable, size: number) => Promise<unknown>;
  readonly get: (key: string) => Promise<AsyncIterable<unknown>>;
}

const contentType = 'application/octet-stream';

function serviceCalls({ endpoint, accessKey, secretKey, bucket, sockets }: S3PeerOptions): Calls {
  const backend = s3Backend({ endpoint, accessKey, secretKey, maxPoolConnections: sockets });
  const storage = new StorageService({ backend, defaultBucket: bucket, observer: prometheusObserver({ register: new Registry() }) });
  return {
    put: (key, body, size) => storage.uploadFile({ key, body, contentType, size }),
    get: async (key) => {
      return (await storage.openFile({ key })).body;
    },
  };
}

function sdkCalls({ endpoint, accessKey, secretKey, bucket, sockets }: S3PeerOptions): Calls {
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: new NodeHttpHandler({ httpAgent: new Agent({ keepAlive: true, maxSockets: sockets }) }),
  });
  return {
    put: (key, body, size) =>
      client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body, ContentLength: size, ContentType: contentType })),
    get: async (key) => {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
      return Body as AsyncIterable<unknown>;
    },
  };
}

async function run(calls: Calls, { call, prefix, size, count, atOnce, compared }: CallsJob): Promise<number> {
  const data = call === 'put' ? Buffer.concat([...pieces(size, size)]) : Buffer.alloc(0);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const key = `${prefix}${next++}`;
      if (call === 'get') {
        let read = 0;
        for await (const chunk of await calls.get(key)) {
          const isEnd = read === 0 || read + (chunk as Buffer).byteLength >= size;
          if ((compared === 'all' || isEnd) && !matches(chunk as Buffer, read)) throw new Error(`${key} came back as something else.`);
          read += (chunk as Buffer).byteLength;
        }
        if (read !== size) throw new Error(`${key} came back with ${read} bytes.`);
      } else {
        await calls.put(key, call === 'put' ? data : Readable.from(pieces(size, 65_536), { objectMode: false }), size);
      }
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: atOnce }, worker));
  return (performance.now() - started) / 1000;
}

const [door, options] = JSON.parse(process.argv[2] ?? '') as [Door, S3PeerOptions];
const calls = door === 'service' ? serviceCalls(options) : sdkCalls(options);
process.on('message', (job: CallsJob) => {
  run(calls, job).then(
    (seconds) => process.send?.({ seconds } satisfies CallsReply),
    (error: unknown) => process.send?.({ error: String(error) } satisfies CallsReply),
  );
});
process.once('disconnect', () => process.exit(0));
