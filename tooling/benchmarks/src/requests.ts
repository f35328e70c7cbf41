import { startPostgres, testDatabase } from '@coffer/fixtures';

import type { Bench } from './harness/bench.ts';
import { scratch } from './harness/bench.ts';
import { median, pairwise, printTable, remark, rotated, spread } from './harness/figures.ts';
import { startLoad } from './harness/load.ts';
import type { ServerProcess } from './harness/servers.ts';
import { startApi, startPeer } from './harness/servers.ts';
import { asUser } from './harness/token.ts';
import { apiJobs, measured } from './harness/transfers.ts';
import type { Measured } from './harness/transfers.ts';
import type { RequestsJob } from './load/job.ts';

const connections = 16;
const fileBytes = 10_240;
const kinds = ['download', 'presigned-upload', 'upload'] as const;
type Kind = (typeof kinds)[number];
const counts: Readonly<Record<Kind, number>> = { download: 6_000, 'presigned-upload': 3_000, upload: 2_000 };
const contenders = ['coffer', 'hono', 'fastify'] as const;
type Contender = (typeof contenders)[number];

/** Small requests per second over 16 persistent connections, and the server's CPU time for each. */
export async function requests(bench: Bench): Promise<void> {
  const { rounds } = bench;
  const postgres = await startPostgres();
  bench.resources.defer(() => postgres.stop());
  const database = await testDatabase({ on: postgres });
  const peerDatabase = await testDatabase({ on: postgres });
  const load = startLoad(bench);
  const headers = await asUser();
  const servers: Readonly<Record<Contender, ServerProcess>> = {
    coffer: await startApi(bench, { databaseUrl: database.url, dataDirectory: await scratch(bench, 'api') }),
    hono: await startPeer(bench, 'bare-hono', []),
    fastify: await startPeer(bench, 'fastify-files', [await scratch(bench, 'fastify'), peerDatabase.url]),
  };
  const jobs = await apiJobs(servers.coffer.url);
  const idOf = async (job: Parameters<typeof load>[0]): Promise<string | undefined> => (await load(job)).answers[0]?.id;
  const upload = jobs.form(fileBytes);
  const cofferFile = await idOf(upload);
  const peerFile = await idOf({ ...upload, url: `${servers.fastify.url}/upload`, verify: ['size_bytes'] } as typeof upload);

  const paths: Readonly<Record<Contender, Readonly<Record<Kind, string>>>> = {
    coffer: {
      download: `/api/v1/files/${cofferFile}/download`,
      'presigned-upload': '/api/v1/files/presigned-upload',
      upload: '/api/v1/files/upload',
    },
    hono: { download: '/download', 'presigned-upload': '/presigned-upload', upload: '/upload' },
    fastify: { download: `/files/${peerFile}/download`, 'presigned-upload': '/presigned-upload', upload: '/upload' },
  };
  const jobOf = (contender: Contender, kind: Kind, count: number): RequestsJob => ({
    kind: 'requests',
    url: servers[contender].url + paths[contender][kind],
    method: kind === 'download' ? 'GET' : 'POST',
    headers,
    connections,
    count,
    ...shapes[kind],
    expect: { ...shapes[kind].expect, ...(contender === 'coffer' && kind === 'upload' && { sha256: true }) },
  });

  const taken = new Map<string, Measured[]>();
  for (let round = -1; round < rounds; round += 1) {
    for (const kind of kinds) {
      for (const contender of rotated(contenders, round + 1)) {
        const result = await measured(load, servers[contender], jobOf(contender, kind, counts[kind]));
        if (round < 0) continue; // the first round only warms up
        const name = `${contender} ${kind}`;
        taken.set(name, [...(taken.get(name) ?? []), result]);
      }
    }
    remark(round < 0 ? 'warmed up' : `round ${round + 1} of ${rounds}`);
  }

  const rates = (contender: Contender, kind: Kind): readonly number[] =>
    taken.get(`${contender} ${kind}`)!.map(({ seconds }) => counts[kind] / seconds);
  const cpu = (contender: Contender, kind: Kind): readonly number[] =>
    taken.get(`${contender} ${kind}`)!.map((result) => (result.cpu * 1000) / counts[kind]);
  printTable(
    `Requests per second and CPU ms per request, ${fileBytes} bytes, ${connections} connections, ${rounds} rounds, medians. hono: a bare route; fastify: token + row + synced file.`,
    ['request', 'server', 'req/s', 'CPU ms', 'coffer req/s is', 'coffer CPU is'],
    kinds.flatMap((kind) =>
      contenders.map((contender) => [
        kind,
        contender,
        spread(rates(contender, kind)),
        spread(cpu(contender, kind), 3),
        contender === 'coffer' ? '' : `${median(pairwise(rates('coffer', kind), rates(contender, kind))).toFixed(2)} x`,
        contender === 'coffer' ? '' : `${median(pairwise(cpu('coffer', kind), cpu(contender, kind))).toFixed(2)} x`,
      ]),
    ),
  );
}

const shapes: Readonly<Record<Kind, Pick<RequestsJob, 'body' | 'expect'>>> = {
  download: { expect: { status: 200, length: fileBytes } },
  'presigned-upload': {
    body: { json: JSON.stringify({ filename: 'report.pdf', content_type: 'application/pdf', size_bytes: fileBytes }) },
    expect: { status: 201 },
  },
  upload: { body: { file: fileBytes }, expect: { status: 201 } },
};
