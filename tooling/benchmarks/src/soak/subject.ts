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

/** Milliseconds. */
const [down, cut] = [1000, 5000];

export type Subject = Awaited<ReturnType<typeof startSubject>>;

/** The API, and what stands around it. */
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
  let api = await start();
  return {
    url: (): string => api.url,
    /** MiB. */
    rss: (): number => rss(api.pid),
    /** Files, sockets and the like that the process has opened since it was ready. */
    opened: (): number => openFiles(api.pid) - api.openAtFirst,
    /** Of the command line beside it. */
    environment: { ...environment, DATABASE_URL: databaseUrl, COFFER_DATA_DIR: dataDirectory, STORAGE_ENABLE_MULTI_TENANCY: 'true' },
    sql,
    bucketOf: (slug: string): BenchBucket => new BenchBucket(stores.client, `${prefix}-${slug}`),
    kill: async (): Promise<void> => {
      process.kill(api.pid, 'SIGKILL');
      await api.stop();
      await delay(down);
      api = await start();
    },
    /** From the store. */
    cutOff: async (): Promise<void> => {
      line.cut();
      await delay(cut);
      line.mend();
      await untilReady(api.url);
    },
    stop: (): Promise<void> => api.stop(),
  };
}
