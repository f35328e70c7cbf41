import { randomBytes } from 'node:crypto';

import { CreateBucketCommand } from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';
import { startPostgres, startS3, testDatabase } from '@coffer/fixtures';
import type { PostgresServer, S3Kind, S3Server } from '@coffer/fixtures';
import postgres from 'postgres';
import type { Sql } from 'postgres';

import type { Bench } from '../harness/bench.ts';
import { scratch } from '../harness/bench.ts';
import { startApi, startPeer } from '../harness/servers.ts';
import type { ServerProcess } from '../harness/servers.ts';
import { asAdmin, asUser } from '../harness/token.ts';
import type { S3PeerOptions } from '../peers/s3-peer.ts';
import { BenchBucket, s3Client } from './bucket.ts';
import type { Work } from './cells.ts';

/** Sockets to S3 of every contender of `s3-api`: the setting of a team that expects 64 requests at once. */
export const sockets = 64;

export const names = ['coffer', 'fastify', 'ceiling'] as const;
export type Name = (typeof names)[number];

export interface Contender {
  readonly server: ServerProcess;
  readonly bucket: BenchBucket;
  /** The path for each kind of work. `{index}` is part of the name of an object, which must be a new one. */
  readonly paths: Readonly<Record<Exclude<Work, 'download'>, string>>;
  readonly download: (id: string) => string;
  readonly headers: (work: Work) => Readonly<Record<string, string>>;
  /** The number of rows in the database. */
  readonly rows: () => Promise<number>;
}

export interface Stores {
  readonly s3: S3Server;
  readonly client: S3Client;
  readonly postgres: PostgresServer;
}

/** Starts one S3 server and one PostgreSQL server for all contenders. */
export async function startStores({ resources }: Bench, kind: S3Kind = 'ceph'): Promise<Stores> {
  const s3 = await startS3(kind, { own: true });
  resources.defer(() => s3.stop());
  const postgres = await startPostgres({ version: 'debian' });
  resources.defer(() => postgres.stop());
  const client = s3Client(s3);
  resources.defer(() => client.destroy());
  return { s3, client, postgres };
}

const peerPaths = { form: '/upload', raw: '/objects/{index}', presign: '/presigned-upload', list: '/files?limit=100' };

/**
 * Starts all contenders, each in a process of its own, on one S3 server and one PostgreSQL server.
 * @param most sockets to S3 of each contender
 */
export async function startContenders(bench: Bench, stores: Stores, most: number): Promise<Readonly<Record<Name, Contender>>> {
  const prefix = `coffer-bench-${randomBytes(4).toString('hex')}`;
  const user = await asUser();
  const admin = { ...(await asAdmin()), 'x-tenant-id': 'bench' };
  const { client, s3 } = stores;

  const bucketOf = (name: string): BenchBucket => {
    const bucket = new BenchBucket(client, name);
    bench.resources.defer(() => bucket.drop().catch(() => {})); // it may never have been created
    return bucket;
  };
  const coffer = async (): Promise<Contender> => {
    const { url, rows } = await databaseOf(bench, stores, 'files');
    const bucket = bucketOf(`${prefix}-bench`);
    const server = await startApi(bench, {
      databaseUrl: url,
      dataDirectory: await scratch(bench, 's3-api'),
      environment: { ...environmentOn(s3, prefix), STORAGE_MAX_POOL_CONNECTIONS: String(most) },
    });
    return {
      server,
      bucket,
      paths: {
        form: '/api/v1/files/upload',
        raw: '/api/v1/storage/objects/{index}',
        presign: '/api/v1/files/presigned-upload',
        list: '/api/v1/files?limit=100',
      },
      download: (id) => `/api/v1/files/${id}/download`,
      headers: (work) => (work === 'raw' ? admin : user),
      rows,
    };
  };
  const peer = async (name: string, program: string): Promise<Contender> => {
    const { url, rows } = await databaseOf(bench, stores, 'peer_files');
    const bucket = bucketOf(`${prefix}-${name}`);
    await client.send(new CreateBucketCommand({ Bucket: bucket.name }));
    const { endpoint, accessKey, secretKey } = s3;
    const options: S3PeerOptions = { endpoint, accessKey, secretKey, bucket: bucket.name, databaseUrl: url, sockets: most };
    const server = await startPeer(bench, program, [JSON.stringify(options)]);
    return { server, bucket, paths: peerPaths, download: (id) => `/files/${id}/download`, headers: () => user, rows };
  };
  return { coffer: await coffer(), fastify: await peer('fastify', 'fastify-s3'), ceiling: await peer('ceiling', 'bare-s3/main') };
}

/** Makes Coffer store in buckets with that prefix, one for each tenant. */
export function environmentOn(
  { endpoint, accessKey, secretKey }: Pick<S3Server, 'endpoint' | 'accessKey' | 'secretKey'>,
  prefix: string,
): Readonly<Record<string, string>> {
  return {
    STORAGE_BACKEND: 's3',
    STORAGE_S3_ENDPOINT: endpoint,
    STORAGE_S3_ACCESS_KEY: accessKey,
    STORAGE_S3_SECRET_KEY: secretKey,
    STORAGE_BUCKET: `${prefix}-default`,
    STORAGE_BUCKET_NAMING_PATTERN: `${prefix}-{tenant_slug}`,
    STORAGE_AUTO_PROVISION: 'true',
  };
}

/** Creates an empty database. */
export async function databaseOf(
  bench: Bench,
  stores: Stores,
  table: string,
): Promise<{ url: string; sql: Sql; rows: () => Promise<number> }> {
  const database = await testDatabase({ on: stores.postgres });
  bench.resources.defer(() => database.drop());
  const { url } = database;
  const sql = postgres(url, { max: 1 });
  bench.resources.defer(() => sql.end());
  return {
    url,
    sql,
    rows: async () => {
      const [row] = await sql<{ rows: string }[]>`select count(*) as rows from ${sql(table)}`;
      return Number(row?.rows);
    },
  };
}
