import { startPostgres, testDatabase } from '@coffer/fixtures';

import type { Bench } from './harness/bench.ts';
import { scratch } from './harness/bench.ts';
import { printTable, remark } from './harness/figures.ts';
import { startLoad } from './harness/load.ts';
import { peakRss, resetPeak, rss } from './harness/process-figures.ts';
import { startApi } from './harness/servers.ts';
import { apiJobs, mebibyte } from './harness/transfers.ts';
import type { LoadJob } from './load/job.ts';

const gibibyte = 2 ** 30;

/** The most memory that the API process holds while large bodies pass through it, with a fresh process for each part. */
export async function memory(bench: Bench): Promise<void> {
  const postgres = await startPostgres();
  bench.resources.defer(() => postgres.stop());
  const load = startLoad(bench);
  const rows: (readonly string[])[] = [];

  /** Runs jobs one after the other in one process; the peak is taken anew for each. */
  const inFreshProcess = async (work: (process: FreshProcess) => Promise<void>): Promise<void> => {
    const database = await testDatabase({ on: postgres });
    const api = await startApi(bench, { databaseUrl: database.url, dataDirectory: await scratch(bench, 'memory') });
    const jobs = await apiJobs(api.url);
    const take: FreshProcess['take'] = async (name, job, goal) => {
      const idle = rss(api.pid);
      resetPeak(api.pid);
      const { seconds, answers } = await load(job);
      const peak = peakRss(api.pid);
      const bytes = 'size' in job ? job.size * ('parallel' in job ? job.parallel : 1) : 0;
      const verdict = goal === undefined ? '' : peak <= goal ? `<= ${goal} met` : `<= ${goal} MISSED`;
      rows.push([name, idle.toFixed(0), peak.toFixed(0), verdict, (bytes / 1e6 / seconds).toFixed(0)]);
      remark(`${name}: ${peak.toFixed(0)} MiB`);
      return answers;
    };
    await work({ take, jobs });
    await api.stop();
    await database.drop();
  };

  for (let round = 0; round < bench.rounds; round += 1) {
    await inFreshProcess(async ({ take, jobs }) => {
      const [file] = await take('form upload, 1 GiB, length known', jobs.form(gibibyte), 200);
      await take('download, 1 GiB', jobs.download(String(file?.['id']), gibibyte), 200);
      await jobs.remove([file!]);
    });
    await inFreshProcess(async ({ take, jobs }) => {
      await jobs.remove(await take('form upload, 2 GiB, length unknown', jobs.form(2 * gibibyte, { announced: false }), 200));
      await jobs.remove(await take('then 16 form uploads of 100 MiB at once', jobs.form(100 * mebibyte, { parallel: 16 }), 230));
    });
    await inFreshProcess(async ({ take, jobs }) => {
      await take('raw PUT, 1 GiB', jobs.put(gibibyte), 200);
    });
  }
  printTable(
    `Peak RSS (VmHWM) of the API process, MiB; ${bench.rounds} round(s). Goals: 200 for one large body, 230 for 16 at once.`,
    ['what passes through', 'before', 'peak', 'goal', 'MB/s'],
    rows.toSorted((a, b) => order.indexOf(a[0]!) - order.indexOf(b[0]!)),
  );
}

const order = [
  'form upload, 1 GiB, length known',
  'form upload, 2 GiB, length unknown',
  'then 16 form uploads of 100 MiB at once',
  'raw PUT, 1 GiB',
  'download, 1 GiB',
];

interface FreshProcess {
  readonly take: (name: string, job: LoadJob, goal?: number) => Promise<readonly Readonly<Record<string, unknown>>[]>;
  readonly jobs: Awaited<ReturnType<typeof apiJobs>>;
}
