import { setTimeout as delay } from 'node:timers/promises';

import type { Bench } from '../harness/bench.ts';
import { median, printTable, remark, rotated } from '../harness/figures.ts';
import { startLoad } from '../harness/load.ts';
import type { Load } from '../harness/load.ts';
import { peakRss, resetPeak } from '../harness/process-figures.ts';
import { mebibyte } from '../harness/transfers.ts';
import { pieces } from '../load/generated-bytes.ts';
import { startContenders, startStores } from '../s3-api/contenders.ts';
import type { Contender } from '../s3-api/contenders.ts';
import { pace, SlowReader, SlowWriter } from './slow-socket.ts';

/** Sockets to S3: everybody's default. */
const sockets = 10;
const names = ['coffer', 'fastify'] as const;
type Name = (typeof names)[number];

const slow = { count: 30, size: 64 * mebibyte };
/** Seconds after which a client that waits for a small file gives up. */
const patience = 5;

/** What slow clients do, and what another client does repeatedly meanwhile. */
const works = {
  read: { size: 10 * 1024, count: 100, everyMs: 50 },
  write: { size: mebibyte, count: 40, everyMs: 100 },
} as const;
type Work = keyof typeof works;

interface Turn {
  /** Milliseconds for each small file; Infinity where the client gave up. */
  readonly small: readonly number[];
  /** Slow clients that were still being served at the end. */
  readonly served: number;
  /** MiB. */
  readonly peak: number;
}

/** Transfers of small files by one client, while others on slow connections read or write large ones. */
export async function slowClients(bench: Bench): Promise<void> {
  const stores = await startStores(bench);
  const load = startLoad(bench);
  const contenders = await startContenders(bench, stores, sockets);
  const files = { coffer: await filesOf(load, contenders.coffer), fastify: await filesOf(load, contenders.fastify) };
  remark(`${stores.s3.name}; ${sockets} sockets to S3; ${slow.count} slow clients at ${(pace.kib * 1000) / pace.everyMs} KiB/s`);
  for (const work of Object.keys(works) as Work[]) {
    const turns: Record<Name, Turn[]> = { coffer: [], fastify: [] };
    for (let round = 0; round < bench.rounds; round++)
      for (const name of rotated(names, round)) turns[name].push(await turn(work, contenders[name], files[name]));
    const { count, size } = works[work];
    printTable(
      `While ${slow.count} slow clients ${work} ${slow.size / mebibyte} MiB each, another one does so ${count} times with ${size / 1024} KiB; ${bench.rounds} round(s)`,
      ['', 'answered', 'median ms', 'p99 ms', 'slow clients served', 'peak MiB'],
      names.map((name) => row(name, turns[name])),
    );
  }
}

function row(name: Name, turns: readonly Turn[]): readonly string[] {
  const sorted = turns.flatMap(({ small }) => small).toSorted((a, b) => a - b);
  const ms = (value: number): string => (value === Infinity ? `> ${patience * 1000}` : value.toFixed(0));
  return [
    name,
    `${sorted.filter(Number.isFinite).length} of ${sorted.length}`,
    ms(sorted[Math.floor(sorted.length / 2)]!),
    ms(sorted[Math.ceil(sorted.length * 0.99) - 1]!),
    `${median(turns.map(({ served }) => served))} of ${slow.count}`,
    Math.max(...turns.map(({ peak }) => peak)).toFixed(0),
  ];
}

interface Files {
  readonly large: string;
  readonly small: string;
}

async function filesOf(load: Load, { server, paths, headers }: Contender): Promise<Files> {
  const upload = async (size: number): Promise<string> => {
    const job = { kind: 'upload', method: 'POST', framing: 'form', announced: true, parallel: 1, verify: ['size_bytes'] } as const;
    const { answers } = await load({ ...job, url: server.url + paths.form, headers: headers('form'), size });
    return answers[0]?.id ?? '';
  };
  return { small: await upload(works.read.size), large: await upload(slow.size) };
}

async function turn(work: Work, contender: Contender, files: Files): Promise<Turn> {
  const { server, download, headers, paths } = contender;
  const { count, everyMs } = works[work];
  resetPeak(server.pid);
  const clients = Array.from({ length: slow.count }, (_, index) => {
    if (work === 'read') return new SlowReader({ method: 'GET', url: server.url + download(files.large), headers: headers('download') });
    const url = server.url + paths.raw.replace('{index}', `slow-${index}`);
    const described = { 'content-type': 'application/octet-stream', 'content-length': String(slow.size) };
    return new SlowWriter({ method: 'PUT', url, headers: { ...headers('raw'), ...described } });
  });
  await delay(3000); // until the system's buffers for each of them are full
  const small: number[] = [];
  while (small.length < count) {
    const since = performance.now();
    const isDone = await once(work, contender, files);
    const ms = performance.now() - since;
    small.push(isDone ? ms : Infinity);
    // Stops early when none of the first ten was answered in time.
    if (small.length === 10 && small.every((each) => each === Infinity)) break;
    await delay(Math.max(0, everyMs - ms));
  }
  const served = clients.filter(({ isServed }) => isServed).length;
  const peak = peakRss(server.pid);
  for (const each of clients) await each.leave();
  return { small, served, peak };
}

/** @returns whether the small file was transferred in time */
async function once(work: Work, { server, download, headers, paths }: Contender, files: Files): Promise<boolean> {
  const signal = AbortSignal.timeout(patience * 1000);
  const { size } = works[work];
  try {
    if (work === 'read') {
      const response = await fetch(server.url + download(files.small), { headers: headers('download'), signal });
      return response.ok && (await response.arrayBuffer()).byteLength === size;
    }
    const body = new FormData();
    body.append('file', new Blob([...pieces(size, size)] as Uint8Array<ArrayBuffer>[]), 'bytes.bin');
    const response = await fetch(server.url + paths.form, { method: 'POST', headers: headers('form'), body, signal });
    return response.status === 201 && ((await response.json()) as { readonly size_bytes: number }).size_bytes === size;
  } catch {
    return false;
  }
}
