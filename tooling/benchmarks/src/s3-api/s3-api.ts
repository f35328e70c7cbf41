import { randomBytes } from 'node:crypto';

import type { Bench } from '../harness/bench.ts';
import { remark, rotated } from '../harness/figures.ts';
import { startLoad } from '../harness/load.ts';
import { cells } from './cells.ts';
import type { Cell } from './cells.ts';
import { names, sockets, startContenders, startStores } from './contenders.ts';
import type { Stores } from './contenders.ts';
import { verifyContender } from './verify-contender.ts';
import { libraryCells, startCaller } from './library.ts';
import type { LibraryCell } from './library.ts';
import { printFigures, printGoals } from './report.ts';
import type { Measured, Turn } from './report.ts';
import { turn } from './turn.ts';

type Take = (name: string, round: number) => Promise<Turn>;

/** The API and the library over S3, against what a team would write, and against the theoretical minimum. */
export async function s3Api(bench: Bench): Promise<void> {
  const known = [...cells, ...libraryCells].map(({ name }) => name);
  const unknown = bench.cells.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`There is no cell ${unknown.join(', ')}; there are ${known.join(', ')}.`);
  const chosen = <C extends Cell | LibraryCell>(all: readonly C[]): readonly C[] =>
    all
      .filter(({ name }) => bench.cells.length === 0 || bench.cells.includes(name))
      .filter(({ size }) => !bench.quick || size <= 2 ** 20)
      .map((cell) => (bench.quick ? { ...cell, count: Math.ceil(cell.count / 2) } : cell));

  const stores = await startStores(bench);
  remark(
    `${stores.s3.name}; ${sockets} sockets to S3 for everyone (STORAGE_MAX_POOL_CONNECTIONS is 10 by default); ` +
      `transport ${process.env['STORAGE_S3_TRANSPORT'] ?? 'as by default'}`,
  );
  const measured = [...(await overHttp(bench, stores, chosen(cells))), ...(await inProcess(bench, stores, chosen(libraryCells)))];
  printFigures(
    `Per second and CPU of the process, ${bench.rounds} round(s): median (least-most); p99: median; peak RSS: the most.`,
    measured,
  );
  const missed = printGoals('Ratios of Coffer to its peer, medians over rounds; goals in brackets.', measured);
  process.stdout.write(missed === 0 ? '\nAll goals are met.\n' : `\n${missed} goal(s) missed.\n`);
}

async function overHttp(bench: Bench, stores: Stores, chosen: readonly Cell[]): Promise<readonly Measured[]> {
  if (chosen.length === 0) return [];
  const load = startLoad(bench);
  const contenders = await startContenders(bench, stores, sockets);
  const kept = new Map<string, Awaited<ReturnType<typeof verifyContender>>>();
  for (const name of names) kept.set(name, await verifyContender(load, contenders[name]));
  remark('every byte is given back as it was given');
  const works = chosen.map((cell) => ({
    cell,
    isLarge: cell.connections === 0,
    take: ((name: (typeof names)[number], round: number) =>
      turn(load, {
        name,
        contender: contenders[name],
        cell: round < 0 ? { ...cell, count: Math.ceil(cell.count / 3) } : cell,
        round,
        fileId: kept.get(name)?.[cell.size] ?? '',
      })) as Take,
  }));
  return inTurns(bench, works, names, 'fastify');
}

async function inProcess(bench: Bench, stores: Stores, chosen: readonly LibraryCell[]): Promise<readonly Measured[]> {
  if (chosen.length === 0) return [];
  const name = `coffer-bench-${randomBytes(4).toString('hex')}`;
  const callers: Readonly<Record<string, Awaited<ReturnType<typeof startCaller>>>> = {
    coffer: await startCaller(bench, stores, 'service', `${name}-service`),
    sdk: await startCaller(bench, stores, 'sdk', `${name}-sdk`),
  };
  const works = chosen.map((cell) => ({
    cell,
    isLarge: cell.size > 2 ** 20,
    take: ((by, round) => callers[by]!.turn(cell, round)) as Take,
  }));
  return inTurns(bench, works, ['coffer', 'sdk'], 'sdk');
}

interface Working {
  readonly cell: Measured['cell'];
  readonly isLarge: boolean;
  readonly take: Take;
}

async function inTurns({ rounds }: Bench, works: readonly Working[], by: readonly string[], peer: string): Promise<readonly Measured[]> {
  const measured = works.map(({ cell, isLarge }) => ({
    cell,
    isLarge,
    peer,
    turns: new Map<string, Turn[]>(by.map((name) => [name, []])),
  }));
  for (let round = -1; round < rounds; round += 1) {
    for (const [index, { isLarge, take }] of works.entries()) {
      if (round < 0 && isLarge) continue; // the first round only warms up
      for (const name of rotated(by, round + 1 + index)) {
        const result = await take(name, round);
        if (round >= 0) measured[index]!.turns.get(name)!.push(result);
      }
    }
    remark(round < 0 ? 'warmed up' : `round ${round + 1} of ${rounds}`);
  }
  return measured;
}
