// Calls to S3 from within a process, as an application makes them: through `StorageService` with its metrics, or with the AWS SDK
// alone. Each process loads only what it calls: a larger live heap makes each garbage collection more expensive.
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import { matches, pieces } from '../load/generated-bytes.ts';
import type { S3PeerOptions } from './s3-peer.ts';

export type StorageApi = 'service' | 'sdk';

export interface CallsJob {
  readonly call: 'put' | 'put stream' | 'put file' | 'get';
  /** The key begins with it and ends with the number of the call. */
  readonly prefix: string;
  readonly size: number;
  readonly count: number;
  readonly atOnce: number;
  /** What to compare of the downloaded bytes; comparing only the ends costs next to nothing. */
  readonly compared: 'all' | 'ends';
}

export type CallsReply = { readonly seconds: number } | { readonly error: string };

export interface Calls {
  readonly put: (key: string, body: Buffer | Readable, size: number) => Promise<unknown>;
  readonly get: (key: string) => Promise<AsyncIterable<unknown>>;
}

async function run(calls: Calls, job: CallsJob): Promise<number> {
  const { call, prefix, size, count, atOnce, compared } = job;
  const { bodyOf, end } = await bodiesOf(job);
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
        await calls.put(key, bodyOf(), size);
      }
    }
  };
  const started = performance.now();
  try {
    await Promise.all(Array.from({ length: atOnce }, worker));
    return (performance.now() - started) / 1000;
  } finally {
    await end?.();
  }
}

interface Bodies {
  readonly bodyOf: () => Buffer | Readable;
  readonly end?: () => Promise<void>;
}

async function bodiesOf({ call, size }: CallsJob): Promise<Bodies> {
  if (call !== 'put' && call !== 'put file') return { bodyOf: () => Readable.from(pieces(size, 65_536), { objectMode: false }) };
  const data = Buffer.concat([...pieces(size, size)]);
  if (call === 'put') return { bodyOf: () => data };
  const folder = await mkdtemp(join(tmpdir(), 'coffer-bench-calls-'));
  await writeFile(join(folder, 'file'), data);
  return { bodyOf: () => createReadStream(join(folder, 'file')), end: () => rm(folder, { recursive: true }) };
}

const [api, options] = JSON.parse(process.argv[2] ?? '') as [StorageApi, S3PeerOptions];
const calls = await (api === 'service' ? import('./service-calls.ts') : import('./sdk-calls.ts')).then(({ callsOf }) => callsOf(options));
process.on('message', (job: CallsJob) => {
  run(calls, job).then(
    (seconds) => process.send?.({ seconds } satisfies CallsReply),
    (error: unknown) => process.send?.({ error: String(error) } satisfies CallsReply),
  );
});
process.once('disconnect', () => process.exit(0));
