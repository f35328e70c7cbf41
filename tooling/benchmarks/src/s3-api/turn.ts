import type { Load } from '../harness/load.ts';
import { peakRss, resetPeak } from '../harness/process-figures.ts';
import { measured } from '../harness/transfers.ts';
import type { LoadJob } from '../load/job.ts';
import type { Cell } from './cells.ts';
import type { Contender, Name } from './contenders.ts';
import type { Turn } from './report.ts';

export interface Asked {
  readonly name: Name;
  readonly contender: Contender;
  readonly cell: Cell;
  /** Part of the names of objects. */
  readonly round: number;
  /** The file to download. */
  readonly fileId: string;
}

/** Runs one cell on one contender once, and checks that everything that it reports as stored is in the store and the database. */
export async function turn(load: Load, asked: Asked): Promise<Turn> {
  const { name, contender, cell } = asked;
  const { server, bucket, rows } = contender;
  const rowsBefore = await rows();
  resetPeak(server.pid);
  const { seconds, cpu, p99 } = await measured(load, server, jobOf(asked));
  const peak = peakRss(server.pid);

  const writes = cell.work === 'form' || cell.work === 'raw';
  // Only the peers track an object that is written raw: see the README.
  const rowsDue = cell.work === 'form' || cell.work === 'presign' || (cell.work === 'raw' && name !== 'coffer') ? cell.count : 0;
  const rowsThere = (await rows()) - rowsBefore;
  if (rowsThere !== rowsDue) throw new Error(`${name} ${cell.name}: ${rowsThere} rows were written instead of ${rowsDue}.`);
  const landed = await bucket.newObjects();
  const right = landed.length === (writes ? cell.count : 0) && landed.every(({ size }) => size === cell.size);
  if (!right) throw new Error(`${name} ${cell.name}: ${landed.length} objects landed, or one of another size than ${cell.size}.`);
  // Reading a gigabyte back each time would cost more than writing it.
  const checked = asked.round === 0 ? landed.slice(0, 3) : cell.connections === 0 ? [] : landed.slice(0, 1);
  for (const object of checked) await bucket.assertGenerated(object);
  await bucket.remove(landed);
  return { seconds, cpu, peak, ...(p99 !== undefined && { p99 }) };
}

function jobOf({ contender, cell, round, fileId }: Asked): LoadJob {
  const { work, size, count, connections, announced } = cell;
  const path = work === 'download' ? contender.download(fileId) : contender.paths[work];
  const url = contender.server.url + path.replace('{index}', `${cell.name}-${round}-{index}`);
  const headers = contender.headers(work);
  if (connections === 0) {
    const method = work === 'raw' ? 'PUT' : 'POST';
    const framing = work === 'raw' ? 'raw' : 'form';
    return { kind: 'upload', url, method, framing, headers, size, announced, parallel: count, verify: ['size_bytes'] };
  }
  const common = { kind: 'requests', url, headers, connections, count } as const;
  switch (work) {
    case 'form':
      return { ...common, method: 'POST', body: { file: size }, expect: { status: 201 } };
    case 'raw':
      return { ...common, method: 'PUT', body: { raw: size }, expect: { status: 201 } };
    case 'download':
      return { ...common, method: 'GET', expect: { status: 200, length: size, generated: true } };
    case 'presign':
      return { ...common, method: 'POST', body: { json: presignAsk(size) }, expect: { status: 201 } };
    case 'list':
      return { ...common, method: 'GET', expect: { status: 200 } };
  }
}

export function presignAsk(size: number): string {
  return JSON.stringify({ filename: 'bytes.bin', content_type: 'application/octet-stream', size_bytes: size });
}
