import { mebibyte } from '../harness/transfers.ts';

/** The kind of request that a contender serves. */
export type Work = 'form' | 'raw' | 'download' | 'presign' | 'list';

/** Goals as issue and README state them: ratios to the Fastify peer; `rss` in MiB. */
export interface Goals {
  /** At least this ratio of operations, or bytes, per second. */
  readonly wall?: number;
  /** At most this ratio of server CPU per operation. */
  readonly cpu?: number;
  /** At most this ratio of the 99th percentile of response times. */
  readonly p99?: number;
  /** At most this much peak RSS, in MiB. */
  readonly rss?: number;
}

export interface Cell {
  readonly name: string;
  readonly work: Work;
  readonly size: number;
  /** Requests per turn; for large bodies, how many are sent at once. */
  readonly count: number;
  /** Connections for small requests; 0 means that every body has its own connection and is streamed. */
  readonly connections: number;
  /** Large forms only: whether Content-Length is sent. */
  readonly announced: boolean;
  readonly goals: Goals;
}

const kibibyte = 1024;
const small = { connections: 16, announced: true };
const large = { connections: 0, announced: true };

export const cells: readonly Cell[] = [
  { ...small, name: 'raw-10k', work: 'raw', size: 10 * kibibyte, count: 1000, goals: { wall: 1.3, cpu: 0.5 } },
  { ...small, name: 'form-10k', work: 'form', size: 10 * kibibyte, count: 1000, goals: { wall: 1.5, cpu: 0.5 } },
  { ...small, name: 'raw-1m', work: 'raw', size: mebibyte, count: 200, goals: { wall: 1.1, cpu: 0.75 } },
  { ...small, name: 'form-1m', work: 'form', size: mebibyte, count: 200, goals: { wall: 1.4, cpu: 0.5 } },
  { ...small, name: 'download-10k', work: 'download', size: 10 * kibibyte, count: 2000, goals: { wall: 1.6, cpu: 0.5 } },
  { ...small, name: 'download-1m', work: 'download', size: mebibyte, count: 400, goals: { wall: 1.25, cpu: 0.7 } },
  { ...small, name: 'presign', work: 'presign', size: 10 * kibibyte, count: 3000, goals: { wall: 2.2, cpu: 0.45 } },
  { ...small, name: 'list-100', work: 'list', size: 0, count: 1500, goals: { wall: 2, cpu: 0.5 } },
  { ...small, name: 'p99-c64', work: 'form', size: 10 * kibibyte, count: 1500, connections: 64, goals: { p99: 0.6 } },
  {
    ...large,
    name: 'form-1g-unknown',
    work: 'form',
    size: 1024 * mebibyte,
    count: 1,
    announced: false,
    goals: { wall: 1.5, cpu: 0.4, rss: 200 },
  },
  { ...large, name: 'raw-1g', work: 'raw', size: 1024 * mebibyte, count: 1, goals: { wall: 1, cpu: 0.9, rss: 200 } },
  { ...large, name: 'form-16x100m', work: 'form', size: 100 * mebibyte, count: 16, goals: { wall: 1.4, cpu: 0.5, rss: 230 } },
];
