import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { startS3 } from '@coffer/fixtures';
import type { S3Kind, S3Server } from '@coffer/fixtures';

import type { Bench } from '../harness/bench.ts';
import { median, remark, rotated } from '../harness/figures.ts';
import { matches, pieces } from '../load/generated-bytes.ts';
import { BenchBucket, s3Client } from '../s3-api/bucket.ts';
import { contendersFor } from './contenders.ts';
import type { Contender } from './contenders.ts';
import { measured } from './measured.ts';
import type { Run } from './measured.ts';
import { findPeers } from './peers.ts';
import { report } from './report.ts';

const kib = 1024;
const mib = 2 ** 20;

/** `coffer storage` against other command lines: 2,000 files of 10 KiB, one of 1 GiB, and the start. */
export async function cli(bench: Bench): Promise<void> {
  const size = bench.quick ? { files: 500, big: 256 * mib } : { files: 2000, big: 1024 * mib };
  const peers = await findPeers();
  for (const kind of ['ceph', 'minio'] as const) {
    if (bench.cells.length > 0 && !bench.cells.includes(kind)) continue;
    await onServer(bench, kind, { ...size, peers });
  }
}

interface Work {
  readonly files: number;
  readonly big: number;
  readonly peers: Awaited<ReturnType<typeof findPeers>>;
}

async function onServer(bench: Bench, kind: S3Kind, { files, big, peers }: Work): Promise<void> {
  const server = await startS3(kind, { own: true });
  bench.resources.defer(() => server.stop());
  const folder = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : '/tmp', 'coffer-bench-cli-'));
  bench.resources.defer(() => rm(folder, { recursive: true, force: true }));
  const source = { small: join(folder, 'small'), big: join(folder, 'big') };
  await mkdir(source.small);
  for (let index = 0; index < files; index++) await write(join(source.small, `file-${index}`), 10 * kib + index);
  await write(source.big, big);

  const contenders = contendersFor(server, peers);
  const figures = new Map<string, Map<string, Run[]>>();
  // An empty store is slower at first, for which the first contender would pay.
  for (const contender of contenders.slice(0, 2)) await oneRound({ contender, server, folder, source, files, big });
  for (let round = 0; round < bench.rounds; round++) {
    for (const contender of rotated(contenders, round)) {
      const taken = await oneRound({ contender, server, folder, source, files, big });
      for (const [cell, run] of taken) {
        const cells = figures.get(cell) ?? new Map<string, Run[]>();
        figures.set(cell, cells.set(contender.name, [...(cells.get(contender.name) ?? []), run]));
      }
    }
    const walls = [...(figures.get('upload')?.entries() ?? [])].map(
      ([name, runs]) => `${name} ${median(runs.map((run) => run.wallMs)).toFixed(0)}`,
    );
    remark(`${kind}: round ${round + 1} of ${bench.rounds}; upload ms: ${walls.join(', ')}`);
  }
  await server.stop(); // the next server needs the memory
  report(`${server.name}; ${files} files of 10 KiB, one of ${big / mib} MiB`, figures);
}

interface Round {
  readonly contender: Contender;
  readonly server: S3Server;
  readonly folder: string;
  readonly source: { readonly small: string; readonly big: string };
  readonly files: number;
  readonly big: number;
}

/** Runs everything once, in a bucket of its own. Each transfer is verified by other code than the contender's. */
async function oneRound({ contender, server, folder, source, files, big }: Round): Promise<ReadonlyMap<string, Run>> {
  const client = s3Client(server);
  const bucket = new BenchBucket(client, `bench-${contender.name}-${Date.now()}`);
  const target = join(folder, 'target');
  const taken = new Map<string, Run>();
  const take = async (cell: string, command: readonly string[]): Promise<void> => {
    taken.set(cell, await measured(command, contender.env, folder));
  };
  await client.send(new CreateBucketCommand({ Bucket: bucket.name }));
  try {
    await mkdir(target);
    await take('version', contender.version);
    await take('help', contender.help);
    await take('upload', contender.uploadAll(source.small, bucket.name));
    const stored = await bucket.newObjects();
    if (stored.length !== files) throw new Error(`${contender.name} stored ${stored.length} of ${files} files.`);
    for (let index = 0; index < files; index += 97) {
      const found = stored.find(({ key }) => key === `small/file-${index}`);
      if (found?.size !== 10 * kib + index) throw new Error(`${contender.name} stored file-${index} wrongly.`);
      await bucket.assertGenerated(found);
    }
    await take('list', contender.list(bucket.name));
    await take('download', contender.downloadAll(bucket.name, target));
    await assertFiles(contender.name, target, files);
    await take('delete', contender.deleteAll(bucket.name));
    const left = (await bucket.newObjects()).length;
    if (left > 0) throw new Error(`${contender.name} left ${left} objects.`);
    await take('upload 1 file', contender.uploadOne(source.big, bucket.name));
    const [one] = await bucket.newObjects();
    if (one?.key !== 'big' || one.size !== big) throw new Error(`${contender.name} did not store the large file.`);
    await bucket.assertGenerated(one);
    await take('download 1 file', contender.downloadOne(bucket.name, join(target, 'big')));
    await assertBytes(join(target, 'big'), big);
  } finally {
    await rm(target, { recursive: true, force: true });
    await bucket.drop();
    client.destroy();
    await forget(server);
  }
  return taken;
}

/** MinIO would keep deleted objects for 5 minutes: in memory, which a few rounds of large files fill. */
async function forget({ deleted }: S3Server): Promise<void> {
  if (deleted === undefined) return;
  for (const entry of await readdir(deleted)) await rm(join(deleted, entry), { recursive: true, force: true });
}

async function write(path: string, size: number): Promise<void> {
  const file = await open(path, 'w');
  for (const piece of pieces(size, mib)) await file.writeFile(piece);
  await file.close();
}

async function assertFiles(name: string, folder: string, files: number): Promise<void> {
  const found = await readdir(folder);
  if (found.length !== files) throw new Error(`${name} downloaded ${found.length} of ${files} files.`);
  for (let index = 0; index < files; index++) {
    const bytes = await readFile(join(folder, `file-${index}`));
    if (bytes.length !== 10 * kib + index || !matches(bytes, 0)) throw new Error(`${name} downloaded file-${index} wrongly.`);
  }
}

async function assertBytes(path: string, size: number): Promise<void> {
  const file = await open(path);
  let read = 0;
  for await (const chunk of file.createReadStream({ highWaterMark: mib }) as AsyncIterable<Buffer>) {
    if (!matches(chunk, read)) throw new Error(`${path} is not what was stored, near byte ${read}.`);
    read += chunk.byteLength;
  }
  if (read !== size) throw new Error(`${path} has ${read} of ${size} bytes.`);
}
