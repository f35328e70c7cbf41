import { fork } from 'node:child_process';
import { once } from 'node:events';

import { CreateBucketCommand } from '@aws-sdk/client-s3';

import type { Bench } from '../harness/bench.ts';
import { cpuSeconds, peakRss, resetPeak } from '../harness/process-figures.ts';
import { mebibyte } from '../harness/transfers.ts';
import type { CallsJob, CallsReply, StorageApi } from '../peers/storage-calls.ts';
import type { S3PeerOptions } from '../peers/s3-peer.ts';
import { BenchBucket } from './bucket.ts';
import type { Goals } from './cells.ts';
import { sockets } from './contenders.ts';
import type { Stores } from './contenders.ts';
import type { Turn } from './report.ts';

export interface LibraryCell extends Omit<CallsJob, 'prefix' | 'compared'> {
  readonly name: string;
  readonly goals: Goals;
}

const goals: Goals = { wall: 1, cpu: 0.5 };
const small = { size: 10 * 1024, atOnce: 16, goals };
const large = { size: 64 * mebibyte, count: 16, atOnce: 2, goals };

/** `StorageService` against the same calls with the SDK, without a server around them. */
export const libraryCells: readonly LibraryCell[] = [
  { ...small, name: 'library-put-10k', call: 'put', count: 600 },
  { ...small, name: 'library-get-10k', call: 'get', count: 1000 },
  { ...large, name: 'library-put-64m', call: 'put' },
  { ...large, name: 'library-put-64m-file', call: 'put file' },
  { ...large, name: 'library-put-64m-stream', call: 'put stream' },
  { ...large, name: 'library-get-64m', call: 'get' },
];

export interface Caller {
  /** Runs the calls of a cell, and checks that what they wrote is in the store. */
  turn(cell: LibraryCell, round: number): Promise<Turn>;
}

/** Starts a process that does nothing but make calls. */
export async function startCaller(bench: Bench, { s3, client }: Stores, api: StorageApi, bucketName: string): Promise<Caller> {
  const bucket = new BenchBucket(client, bucketName);
  await client.send(new CreateBucketCommand({ Bucket: bucketName }));
  bench.resources.defer(() => bucket.drop());
  const { endpoint, accessKey, secretKey } = s3;
  const options: S3PeerOptions = { endpoint, accessKey, secretKey, bucket: bucketName, databaseUrl: '', sockets };
  const child = fork(new URL('../peers/storage-calls.ts', import.meta.url), [JSON.stringify([api, options])], {
    execArgv: ['--conditions=@coffer/source'],
  });
  const ended = once(child, 'exit');
  bench.resources.defer(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  const call = async (job: CallsJob): Promise<number> => {
    child.send(job);
    const reply = await Promise.race([once(child, 'message') as Promise<[CallsReply]>, ended.then(() => undefined)]);
    if (reply === undefined) throw new Error(`The process of ${api} ended.`);
    if ('error' in reply[0]) throw new Error(reply[0].error);
    return reply[0].seconds;
  };
  return {
    async turn({ call: kind, size, count, atOnce }, round) {
      const pid = child.pid!;
      const job: CallsJob = { call: kind, size, count, atOnce, prefix: `r${round}-`, compared: 'ends' };
      if (kind === 'get') {
        await bucket.fill(job.prefix, job); // not by the child, which would have to collect the garbage
        if (round <= 0) await call({ ...job, compared: 'all' });
      }
      resetPeak(pid);
      const before = cpuSeconds(pid);
      const seconds = await call(job);
      const cpu = cpuSeconds(pid) - before;
      const peak = peakRss(pid);
      const landed = await bucket.newObjects();
      if (landed.length !== count || landed.some((object) => object.size !== size)) throw new Error(`${api} stored something else.`);
      await bucket.assertGenerated(landed[0]!);
      await bucket.remove(landed);
      return { seconds, cpu, peak };
    },
  };
}
