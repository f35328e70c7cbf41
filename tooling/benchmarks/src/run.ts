// `node src/run.ts NAME...`: runs benchmarks one after the other. See README.md.
import { availableParallelism, loadavg, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { cli } from './cli/cli.ts';
import type { Bench } from './harness/bench.ts';
import { remark } from './harness/figures.ts';
import { nodeFlags } from './harness/servers.ts';
import { memory } from './memory.ts';
import { overhead } from './overhead.ts';
import { requests } from './requests.ts';
import { s3Api } from './s3-api/s3-api.ts';
import { slowClients } from './slow-clients/slow-clients.ts';
import { soak } from './soak/soak.ts';
import { startup } from './startup.ts';
import { throughput } from './throughput.ts';

const benchmarks: Readonly<Record<string, { readonly run: (bench: Bench) => Promise<void>; readonly rounds: number }>> = {
  startup: { run: startup, rounds: 5 },
  memory: { run: memory, rounds: 2 },
  throughput: { run: throughput, rounds: 5 },
  requests: { run: requests, rounds: 5 },
  overhead: { run: overhead, rounds: 5 },
  's3-api': { run: s3Api, rounds: 5 },
  'slow-clients': { run: slowClients, rounds: 2 },
  cli: { run: cli, rounds: 5 },
  soak: { run: soak, rounds: 1 },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    flags: { type: 'string' },
    profile: { type: 'string' },
    cold: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    cells: { type: 'string', default: '' },
    minutes: { type: 'string', default: '10' },
  },
});
const unknown = positionals.filter((name) => !Object.hasOwn(benchmarks, name));
const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
const minutes = Number(values.minutes);
const isBounded = (rounds === undefined || (rounds >= 1 && rounds <= 50)) && minutes >= 1 && minutes <= 1440;
if (positionals.length === 0 || unknown.length > 0 || !isBounded) {
  process.stderr.write(
    `Usage: node src/run.ts ${Object.keys(benchmarks).join(' | ')} [--rounds 1..50] [--flags 'NODE FLAGS'] [--profile DIRECTORY] [--cold] [--quick] [--cells NAME,...] [--minutes 1..1440]\n`,
  );
  process.exit(2);
}

let resources = new AsyncDisposableStack();
let ending: Promise<void> | undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    ending ??= resources.disposeAsync().finally(() => process.exit(signal === 'SIGINT' ? 130 : 143));
  });
}

for (const name of positionals) {
  const benchmark = benchmarks[name]!;
  resources = new AsyncDisposableStack();
  const memoryGiB = (totalmem() / 2 ** 30).toFixed(0);
  remark(`${name}: Node ${process.versions.node}, ${availableParallelism()} cores, ${memoryGiB} GiB, load ${loadavg()[0]!.toFixed(1)}`);
  try {
    await benchmark.run({
      resources,
      rounds: rounds ?? (values.quick ? 2 : benchmark.rounds),
      nodeFlags: values.flags?.split(' ').filter(Boolean) ?? nodeFlags,
      profileDirectory: values.profile === undefined ? undefined : resolve(values.profile),
      cold: values.cold,
      quick: values.quick,
      cells: values.cells.split(',').filter(Boolean),
      minutes,
    });
  } catch (error) {
    await ending; // a failure while everything is being ended means nothing
    throw error;
  } finally {
    await resources.disposeAsync();
  }
}
