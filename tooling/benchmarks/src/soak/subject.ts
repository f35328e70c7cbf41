import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import type { Bench } from '../harness/bench.ts';
import { scratch } from '../harness/bench.ts';
import { lineTo } from '../harness/line.ts';
import { openFiles, rss } from '../harness/process-figures.ts';
import { startApi, untilReady } from '../harness/servers.ts';
import { BenchBucket } from '../s3-api/bucket.ts';
import { databaseOf, environmentOn } from '../s3-api/contenders.ts';
import type { Stores } from '../s3-api/contenders.ts';
import { Cut } from './exchange.ts';
import { some } from './scene.ts';
import type { Excuse } from './traffic.ts';

/** Milliseconds. */
const [down, cut] = [1000, 5000];

type Fault = readonly [work: () => Promise<void>, excuses: Excuse];
export type Subject = Awaited<ReturnType<typeof startSubject>>;

/** Two processes of the API on one database and one store, and what stands around them. */
export async function startSubject(bench: Bench, stores: Stores) {
  const line = await lineTo(bench, stores.s3.endpoint);
  const prefix = `coffer-soak-${randomBytes(4).toString('hex')}`;
  const { url: databaseUrl, sql } = await databaseOf(bench, stores, 'files');
  const dataDirectory = await scratch(bench, 'soak');
  // What the API logs as an error is one of Coffer's.
  const environment = { ...environmentOn({ ...stores.s3, endpoint: line.endpoint }, prefix), LOG_LEVEL: 'error' };
  const start = async () => {
    const api = await startApi(bench, { databaseUrl, dataDirectory, environment });
    return { ...api, openAtFirst: openFiles(api.pid) };
  };
  const apis = [await start(), await start()];
  return {
    /** Of either. */
    url: (): string => some(apis).url,
    /** MiB, of the larger one. */
    rss: (): number => Math.max(...apis.map(({ pid }) => rss(pid))),
    /** Files, sockets and the like that a process has opened since it was ready. */
    opened: (): number => Math.max(...apis.map(({ pid, openAtFirst }) => openFiles(pid) - openAtFirst)),
    /** Of the command line beside it. */
    environment: { ...environment, DATABASE_URL: databaseUrl, COFFER_DATA_DIR: dataDirectory, STORAGE_ENABLE_MULTI_TENANCY: 'true' },
    sql,
    bucketOf: (slug: string): BenchBucket => new BenchBucket(stores.client, `${prefix}-${slug}`),
    kill: (index: number): Fault => {
      const api = apis[index]!;
      const work = async (): Promise<void> => {
        process.kill(api.pid, 'SIGKILL');
        await api.stop();
        await delay(down);
        apis[index] = await start();
      };
      return [work, (error) => error instanceof Cut && error.origin === api.url]; // the other goes on
    },
    /** From the store. */
    cutOff: (): Fault => {
      const work = async (): Promise<void> => {
        line.cut();
        await delay(cut);
        line.mend();
        await Promise.all(apis.map(({ url }) => untilReady(url)));
      };
      return [work, (error) => error instanceof Cut || error.isUnavailable];
    },
    stop: async (): Promise<void> => void (await Promise.all(apis.map((api) => api.stop()))),
  };
}
