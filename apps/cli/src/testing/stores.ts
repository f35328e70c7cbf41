import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startS3 } from '@coffer/fixtures';
import type { S3Server } from '@coffer/fixtures';
import { createStorage, parseConfig } from '@coffer/runtime';
import type { StorageRuntime } from '@coffer/runtime';
import type { StorageService } from '@coffer/storage-core';
import { beforeAll, beforeEach, describe } from 'vitest';

import { Cli } from './cli.ts';
import type { Ended, Env, RunningCli } from './cli.ts';

const ceph = await startS3('ceph');
const minio = await startS3('minio').catch((error: unknown) => {
  if (error instanceof Error && error.name === 'UnavailableServerError') return error.message;
  throw error;
});

interface Store {
  readonly name: string;
  readonly server?: S3Server;
  readonly missing: boolean;
}

const servers: readonly Store[] = [
  { name: ceph.name, server: ceph, missing: false },
  typeof minio === 'string' ? { name: minio, missing: true } : { name: minio.name, server: minio, missing: false },
];

/** What a test works in: an empty folder, an empty bucket, and the CLI configured for them. */
export interface Bench {
  readonly folder: string;
  readonly bucket: string;
  readonly env: Env;
  /** The storage of the CLI, for tests to prepare and to inspect. */
  readonly storage: StorageService;
  readonly cli: Cli;
  /** Runs `coffer storage ...` in the folder. */
  coffer(args: readonly string[], env?: Env): Promise<Ended>;
  start(args: readonly string[], env?: Env): RunningCli;
  /** Creates another bucket, which is deleted with the first one. */
  newBucket(): Promise<string>;
}

/** Runs the suite on the local backend, on Ceph and, if there is one, on MinIO. Call `bench()` within tests only. */
export function describeStores(title: string, suite: (bench: () => Bench, store: string) => void): void {
  describeOn([{ name: 'local', missing: false }, ...servers], title, suite);
}

/** The same on S3 servers only. */
export function describeServers(title: string, suite: (bench: () => Bench, store: string) => void): void {
  describeOn(servers, title, suite);
}

function describeOn(stores: readonly Store[], title: string, suite: (bench: () => Bench, store: string) => void): void {
  for (const { name, server, missing } of stores) {
    describe.skipIf(missing)(`${title} on ${name}`, () => {
      let cli: Cli;
      let current: (Bench & { close(): Promise<void> }) | undefined;
      beforeAll(async () => {
        cli = await Cli.build();
      });
      beforeEach(async () => {
        current = await openBench(cli, server);
        return () => current?.close();
      });
      suite(() => current!, server?.kind ?? 'local');
    });
  }
}

/** A single bench on the local backend. */
export async function localBench(cli: Cli): Promise<Bench & { close(): Promise<void> }> {
  return openBench(cli, undefined);
}

async function openBench(cli: Cli, server: S3Server | undefined): Promise<Bench & { close(): Promise<void> }> {
  const parent = await mkdtemp(join(tmpdir(), 'coffer-cli-'));
  const folder = await mkdtemp(join(parent, 'work-'));
  const bucket = `cli-${randomBytes(6).toString('hex')}`;
  const env: Env = { STORAGE_BUCKET: bucket, COFFER_DATA_DIR: join(parent, 'data'), ...(server && serverEnv(server)) };
  const runtime: StorageRuntime = await createStorage(parseConfig(env, { serve: false }));
  const { storage } = runtime;
  const buckets: string[] = [];
  const create = async (name: string): Promise<string> => {
    await storage.createBucket({ bucket: name });
    buckets.push(name);
    return name;
  };
  await create(bucket);
  const start: Bench['start'] = (args, more = {}) => cli.start(['storage', ...args], { cwd: folder, env: { ...env, ...more } });
  return {
    folder,
    bucket,
    env,
    storage,
    cli,
    start,
    coffer: (args, more) => start(args, more).ended,
    newBucket: () => create(`cli-${randomBytes(6).toString('hex')}`),
    async close() {
      for (const name of buckets) await storage.deleteBucket(name, { force: true }).catch(() => {}); // some tests delete their buckets
      await runtime.close();
      await rm(parent, { recursive: true, force: true });
    },
  };
}

function serverEnv({ kind, endpoint, accessKey, secretKey }: S3Server): Env {
  return {
    STORAGE_BACKEND: kind === 'minio' ? 'minio' : 's3',
    STORAGE_S3_ENDPOINT: endpoint,
    STORAGE_S3_ACCESS_KEY: accessKey,
    STORAGE_S3_SECRET_KEY: secretKey,
  };
}
