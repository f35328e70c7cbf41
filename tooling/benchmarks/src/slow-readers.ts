import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { startPostgres, startS3 } from '@coffer/fixtures';

import type { Bench } from './harness/bench.ts';
import { median, printTable, remark, rotated } from './harness/figures.ts';
import { startLoad } from './harness/load.ts';
import type { Load } from './harness/load.ts';
import { mebibyte } from './harness/transfers.ts';
import { matches } from './load/generated-bytes.ts';
import { s3Client } from './s3-api/bucket.ts';
import { startContenders } from './s3-api/contenders.ts';
import type { Contender } from './s3-api/contenders.ts';

/** To S3: what everybody has by default. */
const sockets = 10;
const names = ['coffer', 'fastify'] as const;
type Name = (typeof names)[number];

const slow = { count: 30, size: 64 * mebibyte, kibPerTurn: 32, everyMs: 100 };
const small = { count: 100, size: 10 * 1024, everyMs: 50 };
/** Seconds after which somebody who waits for a small file is told that it is not to be had. */
const patience = 5;

interface Turn {
  /** Milliseconds of each small file; Infinity where it did not come. */
  readonly small: readonly number[];
  /** Bytes that slow readers have taken, and how many of them were still being served. */
  readonly taken: number;
  readonly served: number;
}

/** Small downloads of one client while others, on slow lines, read large ones. */
export async function slowReaders(bench: Bench): Promise<void> {
  const s3 = await startS3('ceph', { own: true });
  bench.resources.defer(() => s3.stop());
  const postgres = await startPostgres({ version: 'debian' });
  bench.resources.defer(() => postgres.stop());
  const client = s3Client(s3);
  bench.resources.defer(() => client.destroy());
  const load = startLoad(bench);
  const contenders = await startContenders(bench, { s3, client, postgres }, sockets);
  const files = { coffer: await filesOf(load, contenders.coffer), fastify: await filesOf(load, contenders.fastify) };
  remark(
    `${s3.name}; ${sockets} sockets to S3; ${slow.count} readers of ${slow.size / mebibyte} MiB at ${(slow.kibPerTurn * 1000) / slow.everyMs} KiB/s`,
  );
  const turns: Record<Name, Turn[]> = { coffer: [], fastify: [] };
  for (let round = 0; round < bench.rounds; round++)
    for (const name of rotated(names, round)) turns[name].push(await turn(contenders[name], files[name]));
  printTable(
    `${small.count} files of ${small.size / 1024} KiB, one after the other, ${bench.rounds} round(s)`,
    ['', 'answered', 'median ms', 'p99 ms', 'slow readers served', 'their MiB/s'],
    names.map((name) => row(name, turns[name])),
  );
}

function row(name: Name, turns: readonly Turn[]): readonly string[] {
  const all = turns.flatMap((each) => each.small);
  const sorted = all.toSorted((a, b) => a - b);
  const ms = (value: number): string => (value === Infinity ? `> ${patience * 1000}` : value.toFixed(0));
  const seconds = all.reduce((sum, each) => sum + Math.max(small.everyMs, Math.min(each, patience * 1000)), 0) / 1000;
  return [
    name,
    `${all.filter(Number.isFinite).length} of ${all.length}`,
    ms(sorted[Math.floor(sorted.length / 2)]!),
    ms(sorted[Math.ceil(sorted.length * 0.99) - 1]!),
    `${median(turns.map(({ served }) => served))} of ${slow.count}`,
    (turns.reduce((sum, { taken }) => sum + taken, 0) / mebibyte / seconds).toFixed(1),
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
  return { small: await upload(small.size), large: await upload(slow.size) };
}

async function turn({ server, download, headers }: Contender, files: Files): Promise<Turn> {
  const readers = Array.from({ length: slow.count }, () => new SlowReader(server.url, download(files.large), headers('download')));
  await delay(3000); // until what the system keeps for each of them is full
  const found: number[] = [];
  for (let index = 0; index < small.count; index++) {
    const since = performance.now();
    const signal = AbortSignal.timeout(patience * 1000);
    const bytes = await fetch(server.url + download(files.small), { headers: headers('download'), signal })
      .then((response) => (response.ok ? response.arrayBuffer() : undefined))
      .catch(() => undefined);
    const ms = performance.now() - since;
    found.push(bytes?.byteLength === small.size ? ms : Infinity);
    // Nobody is asked a hundred times who has not answered ten.
    if (found.length === 10 && found.every((each) => each === Infinity)) break;
    await delay(Math.max(0, small.everyMs - ms));
  }
  const result = {
    small: found,
    taken: readers.reduce((sum, { taken }) => sum + taken, 0),
    served: readers.filter(({ isServed }) => isServed).length,
  };
  for (const reader of readers) await reader.leave();
  return result;
}

/** Takes a little now and then, and looks whether it is what was uploaded. */
class SlowReader {
  /** Bytes of the file. */
  taken = 0;
  readonly #socket;
  readonly #timer;
  #head = '';
  #isOver = false;

  constructor(url: string, path: string, headers: Readonly<Record<string, string>>) {
    const { hostname, port, host } = new URL(url);
    this.#socket = connect(Number(port), hostname);
    const lines = Object.entries({ host, ...headers, connection: 'close' }).map(([name, value]) => `${name}: ${value}\r\n`);
    this.#socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => (this.#isOver = true));
    this.#timer = setInterval(() => this.#take(), slow.everyMs);
  }

  /** Whether the file has begun to come, and its connection is open. */
  get isServed(): boolean {
    return this.taken > 0 && !this.#isOver;
  }

  async leave(): Promise<void> {
    clearInterval(this.#timer);
    this.#socket.destroy();
    if (!this.#isOver) await once(this.#socket, 'close');
  }

  #take(): void {
    for (let left = slow.kibPerTurn * 1024; left > 0;) {
      const chunk = this.#socket.read() as Buffer | null;
      if (chunk === null) return;
      left -= chunk.length;
      this.#read(chunk);
    }
  }

  #read(chunk: Buffer): void {
    let body = chunk;
    if (!this.#head.includes('\r\n\r\n')) {
      const known = this.#head.length;
      this.#head += chunk.toString('latin1');
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return;
      if (!this.#head.startsWith('HTTP/1.1 200')) return void this.#socket.destroy();
      body = chunk.subarray(end + 4 - known);
    }
    if (!matches(body, this.taken)) throw new Error(`A slow reader got something else than it uploaded, near byte ${this.taken}.`);
    this.taken += body.length;
  }
}
