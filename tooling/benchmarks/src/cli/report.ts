import { median, printTable } from '../harness/figures.ts';
import type { Run } from './measured.ts';

type Figures = ReadonlyMap<string, ReadonlyMap<string, readonly Run[]>>;

interface Goal {
  readonly cell: string;
  readonly what: string;
  /** The figure, which may be at most `atMost`. Undefined when a peer is missing. */
  readonly of: (figures: Peer) => number | undefined;
  readonly atMost: number;
}

type Measure = 'wall' | 'cpu' | 'rss' | 'first';
type Peer = (name: string, measure: Measure) => number | undefined;

const against = (peer: string, measure: Measure) => (figures: Peer) => ratio(figures('coffer', measure), figures(peer, measure));
const own = (measure: Measure) => (figures: Peer) => figures('coffer', measure);
const best = (measure: Measure) => (figures: Peer) => {
  const peers = ['s5cmd', 'mc', 'rclone-32', 'aws'].map((name) => figures(name, measure)).filter((value) => value !== undefined);
  return peers.length === 0 ? undefined : ratio(figures('coffer', measure), Math.min(...peers));
};

const goals: readonly Goal[] = [
  { cell: 'upload', what: 'wall / s5cmd', of: against('s5cmd', 'wall'), atMost: 0.95 },
  { cell: 'upload', what: 'wall / mc', of: against('mc', 'wall'), atMost: 0.6 },
  { cell: 'upload', what: 'wall / aws', of: against('aws', 'wall'), atMost: 0.35 },
  { cell: 'upload', what: 'CPU / s5cmd', of: against('s5cmd', 'cpu'), atMost: 0.75 },
  { cell: 'download', what: 'wall / best', of: best('wall'), atMost: 1 },
  { cell: 'download', what: 'CPU / s5cmd', of: against('s5cmd', 'cpu'), atMost: 0.85 },
  { cell: 'delete', what: 'wall / s5cmd', of: against('s5cmd', 'wall'), atMost: 0.95 },
  { cell: 'delete', what: 'CPU / s5cmd', of: against('s5cmd', 'cpu'), atMost: 1 },
  { cell: 'list', what: 'wall / s5cmd', of: against('s5cmd', 'wall'), atMost: 1.5 },
  { cell: 'list', what: 'wall / aws', of: against('aws', 'wall'), atMost: 0.15 },
  { cell: 'upload 1 file', what: 'wall / best', of: best('wall'), atMost: 0.95 },
  { cell: 'upload 1 file', what: 'CPU / s5cmd', of: against('s5cmd', 'cpu'), atMost: 0.5 },
  { cell: 'upload 1 file', what: 'peak RSS, MiB', of: own('rss'), atMost: 140 },
  { cell: 'download 1 file', what: 'wall / best', of: best('wall'), atMost: 1.1 },
  { cell: 'download 1 file', what: 'CPU / s5cmd', of: against('s5cmd', 'cpu'), atMost: 1 },
  { cell: 'download 1 file', what: 'peak RSS, MiB', of: own('rss'), atMost: 110 },
  { cell: 'version', what: 'wall, ms', of: own('wall'), atMost: 45 },
  { cell: 'help', what: 'wall, ms', of: own('wall'), atMost: 120 },
  { cell: 'list', what: 'first byte, ms', of: own('first'), atMost: 130 },
];

/** Prints every contender's medians, and then the goals. */
export function report(title: string, figures: Figures): void {
  const names = [...new Set([...figures.values()].flatMap((runs) => [...runs.keys()]))];
  printTable(
    `${title}: wall ms / CPU ms / peak RSS MiB, medians`,
    ['work', ...names],
    [...figures].map(([cell, runs]) => [cell, ...names.map((name) => line(runs.get(name)))]),
  );
  printTable(
    `${title}: goals`,
    ['work', 'figure', 'value', 'at most', ''],
    goals.map(({ cell, what, of, atMost }) => {
      const value = of((name, measure) => figureOf(figures.get(cell)?.get(name), measure));
      const text = value === undefined ? '-' : value.toFixed(atMost < 10 ? 2 : 0);
      return [cell, what, text, String(atMost), value === undefined ? 'not measured' : value <= atMost ? 'met' : 'MISSED'];
    }),
  );
}

function line(runs: readonly Run[] | undefined): string {
  const [wall, cpu, rss] = (['wall', 'cpu', 'rss'] as const).map((measure) => figureOf(runs, measure)?.toFixed(0) ?? '-');
  return `${wall} / ${cpu} / ${rss}`;
}

function figureOf(runs: readonly Run[] | undefined, measure: Measure): number | undefined {
  if (runs === undefined || runs.length === 0) return undefined;
  const values = runs.map(
    ({ wallMs, cpuMs, peakRss, firstByteMs }) => ({ wall: wallMs, cpu: cpuMs, rss: peakRss, first: firstByteMs ?? wallMs })[measure],
  );
  return median(values);
}

function ratio(value: number | undefined, base: number | undefined): number | undefined {
  return value === undefined || base === undefined ? undefined : value / base;
}
