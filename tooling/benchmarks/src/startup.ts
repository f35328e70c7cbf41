import { startPostgres, testDatabase } from '@coffer/fixtures';

import type { Bench } from './harness/bench.ts';
import { scratch } from './harness/bench.ts';
import { checkoutCopy } from './harness/checkout-copy.ts';
import { median, printTable, remark, spread } from './harness/figures.ts';
import { npmStart } from './harness/npm-start.ts';
import { startApi } from './harness/servers.ts';

const warmGoalMs = 4000;
const aloneGoalMs = 800;
const coldStarts = 3;

/** From the command to the first 200 from `/health/ready`. */
export async function startup(bench: Bench): Promise<void> {
  const rows: string[][] = [];
  const add = (what: string, milliseconds: readonly number[], goalMs?: number): void => {
    const verdict = goalMs === undefined ? '' : `< ${goalMs} ${median(milliseconds) < goalMs ? 'met' : 'MISSED'}`;
    rows.push([what, spread(milliseconds), verdict]);
  };

  const cold: number[] = [];
  const copies = bench.cold ? coldStarts : 1;
  for (let copy = 1; copy <= copies; copy += 1) {
    const checkout = await checkoutCopy(bench);
    const dataDirectory = await scratch(bench, 'data');
    cold.push(await npmStart(bench, { checkout, dataDirectory, timeoutMs: 300_000 }));
    remark(`cold start ${copy} of ${copies}: ${cold.at(-1)!.toFixed(0)} ms`);
    if (copy < copies) continue;
    const warm: number[] = [];
    for (let round = 1; round <= bench.rounds; round += 1) {
      warm.push(await npmStart(bench, { checkout, dataDirectory, timeoutMs: 60_000 }));
      remark(`warm start ${round} of ${bench.rounds}: ${warm.at(-1)!.toFixed(0)} ms`);
    }
    add('npm start, cold: a bare clone, caches of npm and pnpm as they are', cold);
    add('npm start, warm: embedded PostgreSQL included', warm, warmGoalMs);
  }

  const postgres = await startPostgres();
  bench.resources.defer(() => postgres.stop());
  const { url: databaseUrl } = await testDatabase({ on: postgres });
  const dataDirectory = await scratch(bench, 'alone');
  const alone: number[] = [];
  for (let round = -1; round < bench.rounds; round += 1) {
    const api = await startApi(bench, { databaseUrl, dataDirectory });
    await api.stop();
    if (round >= 0) alone.push(api.readyAfterMs); // the round before them creates the tables
  }
  add('API process alone, with a running database', alone, aloneGoalMs);
  printTable(
    `Milliseconds to the first answered /health/ready, ${bench.rounds} warm rounds, medians (least-most).`,
    ['start', 'ms', 'goal'],
    rows,
  );
}
