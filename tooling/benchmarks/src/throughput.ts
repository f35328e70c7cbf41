import { startPostgres, testDatabase } from '@coffer/fixtures';

import type { Bench } from './harness/bench.ts';
import { scratch } from './harness/bench.ts';
import { median, pairwise, printTable, remark, rotated, spread } from './harness/figures.ts';
import { startLoad } from './harness/load.ts';
import { startApi, startPeer } from './harness/servers.ts';
import { apiJobs, mebibyte, measured } from './harness/transfers.ts';
import type { Measured } from './harness/transfers.ts';
import { formStart } from './load/form.ts';
import type { LoadJob } from './load/job.ts';

const size = 512 * mebibyte;
const goal = 0.7;

type Transfer = 'form upload' | 'raw PUT' | 'download';
type Contender = 'coffer' | 'bare';
const transfers: readonly Transfer[] = ['form upload', 'raw PUT', 'download'];

/** Large transfers through the API on the local backend, against a server that only pipes and syncs. */
export async function throughput(bench: Bench): Promise<void> {
  const { rounds } = bench;
  const postgres = await startPostgres();
  bench.resources.defer(() => postgres.stop());
  const { url: databaseUrl } = await testDatabase({ on: postgres });
  const load = startLoad(bench);
  const api = await startApi(bench, { databaseUrl, dataDirectory: await scratch(bench, 'api') });
  const bare = await startPeer(bench, 'bare-http', [await scratch(bench, 'bare')]);
  const jobs = await apiJobs(api.url);
  const bareUploadJob = (framing: 'form' | 'raw', name: string): LoadJob => ({
    kind: 'upload',
    url: `${bare.url}/${name}`,
    method: 'PUT',
    framing,
    headers: {},
    size,
    announced: true,
    parallel: 1,
    verify: framing === 'raw' ? ['size_bytes'] : [],
  });

  const cofferUpload = async (job: LoadJob): Promise<Measured> => {
    const result = await measured(load, api, job);
    await jobs.remove(result.answers);
    return result;
  };
  const bareUpload = async (framing: 'form' | 'raw'): Promise<Measured> => {
    const result = await measured(load, bare, bareUploadJob(framing, 'new'));
    await fetch(`${bare.url}/new`, { method: 'DELETE' });
    return result;
  };

  const run: Readonly<Record<Contender, Readonly<Record<Transfer, () => Promise<Measured>>>>> = {
    coffer: {
      'form upload': () => cofferUpload(jobs.form(size)),
      'raw PUT': () => cofferUpload(jobs.put(size)),
      download: () => measured(load, api, jobs.download(stored?.id, size)),
    },
    bare: {
      'form upload': () => bareUpload('form'),
      'raw PUT': () => bareUpload('raw'),
      download: () => measured(load, bare, { kind: 'download', url: `${bare.url}/stored`, headers: {}, size, skip: formStart.byteLength }),
    },
  };

  const [stored] = (await load(jobs.form(size))).answers;
  await load(bareUploadJob('form', 'stored'));
  const taken = new Map<string, Measured[]>();
  for (let round = -1; round < rounds; round += 1) {
    for (const transfer of transfers) {
      for (const contender of rotated<Contender>(['coffer', 'bare'], round + 1)) {
        const result = await run[contender][transfer]();
        if (round < 0) continue; // the first round only warms up
        const name = `${contender} ${transfer}`;
        taken.set(name, [...(taken.get(name) ?? []), result]);
      }
    }
    remark(round < 0 ? 'warmed up' : `round ${round + 1} of ${rounds}`);
  }

  const rates = (contender: Contender, transfer: Transfer): readonly number[] =>
    taken.get(`${contender} ${transfer}`)!.map(({ seconds }) => size / 1e6 / seconds);
  const cpu = (contender: Contender, transfer: Transfer): number =>
    median(taken.get(`${contender} ${transfer}`)!.map((result) => result.cpu)) / (size / 2 ** 30);
  printTable(
    `${size / mebibyte} MiB on the local backend against bare node:http (pipe + fsync), ${rounds} rounds, medians (least-most). Goal: ratio >= ${goal}.`,
    ['transfer', 'coffer MB/s', 'bare MB/s', 'ratio', 'goal', 'coffer CPU s/GiB', 'bare CPU s/GiB'],
    transfers.map((transfer) => {
      const ratios = pairwise(rates('coffer', transfer), rates('bare', transfer));
      return [
        transfer,
        spread(rates('coffer', transfer)),
        spread(rates('bare', transfer)),
        spread(ratios, 2),
        median(ratios) >= goal ? 'met' : 'MISSED',
        cpu('coffer', transfer).toFixed(2),
        cpu('bare', transfer).toFixed(2),
      ];
    }),
  );
}
