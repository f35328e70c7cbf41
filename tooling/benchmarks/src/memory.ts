import { rm } from 'node:fs/promises';

import { startPostgres, testDatabase } from '@coffer/fixtures';

import type { Bench } from './harness/bench.ts';
import { scratch } from './harness/bench.ts';
import { printTable, remark } from './harness/figures.ts';
import { startLoad } from './harness/load.ts';
import { peakRss, resetPeak, rss } from './harness/process-figures.ts';
import { startApi } from './harness/servers.ts';
import type { ApiOptions as Home } from './harness/servers.ts';
import { apiJobs, mebibyte } from './harness/transfers.ts';
import type { Answer, LoadJob } from './load/job.ts';

const gibibyte = 2 ** 30;
const goalForOne = 200;
const goalForMany = 230;

const names = {
  known: 'form upload, 1 GiB, length known',
  unknown: 'form upload, 2 GiB, length unknown',
  many: 'then 16 form uploads of 100 MiB at once',
  put: 'raw PUT, 1 GiB',
  download: 'download, 1 GiB',
};
const order: readonly string[] = Object.values(names);

/** The peak memory of the API process while large bodies pass through it, with a fresh process for each part. */
export async function memory(bench: Bench): Promise<void> {
  const postgres = await startPostgres();
  bench.resources.defer(() => postgres.stop());
  const load = startLoad(bench);
  const rows: (readonly string[])[] = [];

  /** Runs jobs one after the other in one process, and resets the peak before each. */
  const inFreshProcess = async (home: Home, work: (process: FreshProcess) => Promise<void>): Promise<void> => {
    const api = await startApi(bench, home);
    const jobs = await apiJobs(api.url);
    const take: FreshProcess['take'] = async (name, job, goal) => {
      const idle = rss(api.pid);
      resetPeak(api.pid);
      const { seconds, answers } = await load(job);
      const peak = peakRss(api.pid);
      const bytes = 'size' in job ? job.size * ('parallel' in job ? job.parallel : 1) : 0;
      rows.push([
        name,
        idle.toFixed(0),
        peak.toFixed(0),
        `<= ${goal} ${peak <= goal ? 'met' : 'MISSED'}`,
        (bytes / 1e6 / seconds).toFixed(0),
      ]);
      remark(`${name}: ${peak.toFixed(0)} MiB`);
      return answers;
    };
    await work({ take, jobs });
    await api.stop();
  };

  for (let round = 0; round < bench.rounds; round += 1) {
    const database = await testDatabase({ on: postgres });
    const home = { databaseUrl: database.url, dataDirectory: await scratch(bench, 'memory') };
    let stored: readonly Answer[] = [];
    await inFreshProcess(home, async ({ take, jobs }) => {
      stored = await take(names.known, jobs.form(gibibyte), goalForOne);
    });
    await inFreshProcess(home, async ({ take, jobs }) => {
      await take(names.download, jobs.download(stored[0]?.id, gibibyte), goalForOne);
      await jobs.remove(stored);
    });
    await inFreshProcess(home, async ({ take, jobs }) => {
      await jobs.remove(await take(names.unknown, jobs.form(2 * gibibyte, { announced: false }), goalForOne));
      await jobs.remove(await take(names.many, jobs.form(100 * mebibyte, { parallel: 16 }), goalForMany));
    });
    await inFreshProcess(home, async ({ take, jobs }) => {
      await jobs.remove(await take(names.put, jobs.put(gibibyte), goalForOne));
    });
    await database.drop();
    await rm(home.dataDirectory, { recursive: true, force: true }); // the next round needs the space
  }
  printTable(
    `Peak RSS (VmHWM) of the API process, MiB; ${bench.rounds} round(s). Goals: ${goalForOne} for one large body, ${goalForMany} for 16 at once.`,
    ['what passes through', 'before', 'peak', 'goal', 'MB/s'],
    rows.toSorted((a, b) => order.indexOf(a[0]!) - order.indexOf(b[0]!)),
  );
}

interface FreshProcess {
  readonly take: (name: string, job: LoadJob, goal: number) => Promise<readonly Answer[]>;
  readonly jobs: Awaited<ReturnType<typeof apiJobs>>;
}
