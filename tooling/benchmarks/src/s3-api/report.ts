import { median, pairwise, printTable, spread } from '../harness/figures.ts';
import type { Goals } from './cells.ts';

/** The figures of one contender in one cell, measured once. */
export interface Turn {
  readonly seconds: number;
  /** CPU seconds of its process. */
  readonly cpu: number;
  /** MiB. */
  readonly peak: number;
  /** Milliseconds. */
  readonly p99?: number;
}

export interface Measured {
  readonly cell: { readonly name: string; readonly size: number; readonly count: number; readonly goals: Goals };
  /** Whether rates are in bytes. */
  readonly isLarge: boolean;
  /** The contender that goals refer to. */
  readonly peer: string;
  /** Turns of each contender, round by round. */
  readonly turns: ReadonlyMap<string, readonly Turn[]>;
}

/** Prints what was measured, contender by contender. */
export function printFigures(title: string, measured: readonly Measured[]): void {
  printTable(
    title,
    ['work', 'by', 'rate', 'CPU', 'p99 ms', 'peak MiB'],
    measured.flatMap(({ cell, isLarge, turns }) =>
      [...turns].map(([name, all]) => {
        const bytes = cell.size * cell.count;
        const rates = all.map(({ seconds }) => (isLarge ? bytes / 1e6 : cell.count) / seconds);
        const cpu = all.map((turn) => (isLarge ? turn.cpu / (bytes / 2 ** 30) : (turn.cpu * 1000) / cell.count));
        const p99 = all.flatMap((turn) => turn.p99 ?? []);
        return [
          cell.name,
          name,
          `${spread(rates)} ${isLarge ? 'MB/s' : '/s'}`,
          `${spread(cpu, isLarge ? 2 : 3)} ${isLarge ? 's/GiB' : 'ms'}`,
          p99.length === 0 ? '' : median(p99).toFixed(0),
          Math.max(...all.map(({ peak }) => peak)).toFixed(0),
        ];
      }),
    ),
  );
}

/** Prints ratios to the peer, and whether they meet their goals. @returns how many goals were missed */
export function printGoals(title: string, measured: readonly Measured[]): number {
  let missed = 0;
  const judged = (value: number, goal: number | undefined, by: 'least' | 'most', unit: string, digits = 2): string => {
    if (goal === undefined) return `${value.toFixed(digits)}${unit}`;
    const met = by === 'least' ? value >= goal : value <= goal;
    if (!met) missed += 1;
    return `${value.toFixed(digits)}${unit} (${by === 'least' ? '>=' : '<='} ${goal}) ${met ? 'met' : 'MISSED'}`;
  };
  const rows = measured.map(({ cell: { name, goals }, peer, turns }) => {
    const ours = turns.get('coffer')!;
    const theirs = turns.get(peer)!;
    const ratio = (of: (turn: Turn) => number): number => median(pairwise(ours.map(of), theirs.map(of)));
    const p99 =
      goals.p99 === undefined
        ? ''
        : judged(
            ratio((turn) => turn.p99 ?? 0),
            goals.p99,
            'most',
            ' x',
          );
    const rss = goals.rss === undefined ? '' : judged(Math.max(...ours.map(({ peak }) => peak)), goals.rss, 'most', ' MiB', 0);
    return [
      name,
      peer,
      judged(
        median(
          pairwise(
            theirs.map(({ seconds }) => seconds),
            ours.map(({ seconds }) => seconds),
          ),
        ),
        goals.wall,
        'least',
        ' x',
      ),
      judged(
        ratio(({ cpu }) => cpu),
        goals.cpu,
        'most',
        ' x',
      ),
      p99,
      rss,
    ];
  });
  printTable(title, ['work', 'against', 'rate', 'CPU', 'p99', 'peak'], rows);
  return missed;
}
