import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import type { Bench } from '../harness/bench.ts';
import { scratch } from '../harness/bench.ts';
import { startFaultyProxy } from '../harness/faulty-proxy.ts';
import type { FaultyProxy } from '../harness/faulty-proxy.ts';
import { openFiles, rss } from '../harness/process-figures.ts';
import { startApi, untilReady } from '../harness/servers.ts';
import { BenchBucket } from '../s3-api/bucket.ts';
import { databaseOf, environmentOn } from '../s3-api/contenders.ts';
import type { Stores } from '../s3-api/contenders.ts';
import { Cut, Refusal } from './exchange.ts';
import { randomOf } from './scene.ts';
import type { Excuse } from './traffic.ts';

/** Seconds. */
const storeTimeout = 5;
/** Milliseconds. When the API stops, requests under way have 25 seconds to finish, and 10 more to undo what they wrote. */
const [down, cut, databaseCut, mostStop] = [1000, 5000, 2000, 40_000];
/** Milliseconds, alternating: longer than a request waits, and longer than it does with all its retries. */
const silences = [1500 * storeTimeout, 5500 * storeTimeout];
/** Milliseconds; longer than a statement waits for its answer. */
const databaseSilence = 40_000;

const isDatabaseAway: Excuse = (error) => error instanceof Refusal && error.isUnavailable;
const isStoreAway: Excuse = (error) => error instanceof Cut || error.isUnavailable || error.isTimeout;

type Fault = readonly [work: () => Promise<void>, excuses: Excuse];
export type Subject = Awaited<ReturnType<typeof startSubject>>;

/** Two API processes on one database and one store, and the proxies in front of those. */
export async function startSubject(bench: Bench, stores: Stores) {
  const proxy = await startFaultyProxy(bench, stores.s3.endpoint);
  const prefix = `coffer-soak-${randomBytes(4).toString('hex')}`;
  const { url: databaseUrl, sql } = await databaseOf(bench, stores, 'files');
  const databaseProxy = await startFaultyProxy(bench, databaseUrl);
  const dataDirectory = await scratch(bench, 'soak');
  // At this level, whatever the API logs is an error in Coffer.
  const environment = {
    ...environmentOn({ ...stores.s3, endpoint: proxy.endpoint }, prefix),
    STORAGE_BACKEND: stores.s3.kind === 'minio' ? 'minio' : 's3',
    STORAGE_TIMEOUT: String(storeTimeout),
    LOG_LEVEL: process.env['LOG_LEVEL'] ?? 'error',
  };
  const start = async () => {
    const api = await startApi(bench, { databaseUrl: databaseProxy.endpoint, dataDirectory, environment });
    return { ...api, openAtFirst: openFiles(api.pid) };
  };
  const apis = [await start(), await start()];
  const restored = async (broken: FaultyProxy, after: number): Promise<void> => {
    await delay(after);
    broken.restore();
    await Promise.all(apis.map(({ url }) => untilReady(url)));
  };
  return {
    /** Of either process. */
    url: (): string => randomOf(apis).url,
    /** MiB, of the larger process. */
    rss: (): number => Math.max(...apis.map(({ pid }) => rss(pid))),
    /** Files, sockets and the like that a process has opened since it was ready. */
    opened: (): number => Math.max(...apis.map(({ pid, openAtFirst }) => openFiles(pid) - openAtFirst)),
    /** The environment of the CLI that runs beside it. */
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
      return [work, (error) => error instanceof Cut && error.origin === api.url]; // the other process goes on
    },
    /** Cuts the API off from the store. */
    cutOff: (): Fault => {
      const work = async (): Promise<void> => {
        proxy.cut();
        await restored(proxy, cut);
      };
      return [work, isStoreAway];
    },
    /** Stops a process while requests arrive; it must finish those that it has accepted. */
    restart: (index: number): Fault => {
      const api = apis[index]!;
      const work = async (): Promise<void> => {
        await api.stop(mostStop);
        apis[index] = await start();
      };
      return [work, (error) => error instanceof Cut && error.wasNotAccepted && error.origin === api.url];
    },
    /** Makes the store silent for longer than the API waits. */
    silence: (): Fault => {
      const [silence] = silences.reverse();
      const work = async (): Promise<void> => {
        proxy.stall();
        await restored(proxy, silence!);
      };
      return [work, isStoreAway];
    },
    cutDatabase: (): Fault => {
      const work = async (): Promise<void> => {
        databaseProxy.cut();
        await restored(databaseProxy, databaseCut);
      };
      return [work, isDatabaseAway];
    },
    silenceDatabase: (): Fault => {
      const work = async (): Promise<void> => {
        databaseProxy.stall();
        await restored(databaseProxy, databaseSilence);
      };
      return [work, isDatabaseAway];
    },
    stop: async (): Promise<void> => void (await Promise.all(apis.map((api) => api.stop()))),
  };
}
