import type { S3Server } from '@coffer/fixtures';
import { fileURLToPath } from 'node:url';

import type { Peers } from './peers.ts';

/** The commands with which a contender does the same work. `folder` ends without a slash. */
export interface Contender {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  readonly version: readonly string[];
  readonly help: readonly string[];
  /** Uploads all files of a folder to `small/` in the bucket. */
  uploadAll(folder: string, bucket: string): readonly string[];
  list(bucket: string): readonly string[];
  /** Downloads everything below `small/` into a folder. */
  downloadAll(bucket: string, folder: string): readonly string[];
  deleteAll(bucket: string): readonly string[];
  /** Uploads one file to the key `big`. */
  uploadOne(file: string, bucket: string): readonly string[];
  downloadOne(bucket: string, file: string): readonly string[];
}

/** Our CLI, as it is built. */
export const cofferBin: string = fileURLToPath(new URL('../../../../apps/cli/bin/coffer.js', import.meta.url));

/** Ours first, then the peers that are on this machine. */
export function contendersFor(server: S3Server, peers: Peers): readonly Contender[] {
  return [
    coffer(server),
    ...(peers.s5cmd === undefined ? [] : [s5cmd(server, peers.s5cmd)]),
    ...(peers.mc === undefined ? [] : [mc(server, peers.mc)]),
    ...(peers.rclone === undefined ? [] : [rclone(server, peers.rclone)]),
    ...(peers.aws === undefined ? [] : [aws(server, peers.aws)]),
  ];
}

function coffer({ kind, endpoint, accessKey, secretKey }: S3Server): Contender {
  const storage = [process.execPath, cofferBin, 'storage'];
  return {
    name: 'coffer',
    env: {
      STORAGE_BACKEND: kind === 'minio' ? 'minio' : 's3',
      STORAGE_S3_ENDPOINT: endpoint,
      STORAGE_S3_ACCESS_KEY: accessKey,
      STORAGE_S3_SECRET_KEY: secretKey,
    },
    version: [process.execPath, cofferBin, '--version'],
    help: [process.execPath, cofferBin, '--help'],
    uploadAll: (folder, bucket) => [...storage, 'upload', folder, '--recursive', '--prefix', 'small', '--bucket', bucket],
    list: (bucket) => [...storage, 'list', '--bucket', bucket],
    downloadAll: (bucket, folder) => [...storage, 'download', 'small', '--recursive', '--output', `${folder}/`, '--bucket', bucket],
    deleteAll: (bucket) => [...storage, 'delete', 'small', '--prefix', '--confirm', '--bucket', bucket],
    uploadOne: (file, bucket) => [...storage, 'upload', file, '--key', 'big', '--bucket', bucket],
    downloadOne: (bucket, file) => [...storage, 'download', 'big', '--output', file, '--bucket', bucket],
  };
}

function s5cmd({ endpoint, accessKey, secretKey }: S3Server, program: string): Contender {
  const start = [program, '--endpoint-url', endpoint];
  return {
    name: 's5cmd',
    env: { AWS_ACCESS_KEY_ID: accessKey, AWS_SECRET_ACCESS_KEY: secretKey, AWS_REGION: 'us-east-1' },
    version: [program, 'version'],
    help: [program, '--help'],
    uploadAll: (folder, bucket) => [...start, 'cp', `${folder}/`, `s3://${bucket}/small/`],
    list: (bucket) => [...start, 'ls', `s3://${bucket}/*`],
    downloadAll: (bucket, folder) => [...start, 'cp', `s3://${bucket}/small/*`, `${folder}/`],
    deleteAll: (bucket) => [...start, 'rm', `s3://${bucket}/small/*`],
    uploadOne: (file, bucket) => [...start, 'cp', file, `s3://${bucket}/big`],
    downloadOne: (bucket, file) => [...start, 'cp', `s3://${bucket}/big`, file],
  };
}

function mc({ endpoint, accessKey, secretKey }: S3Server, program: string): Contender {
  const url = new URL(endpoint);
  const start = [program, '--config-dir', '/tmp/coffer-bench-mc', '--quiet'];
  return {
    name: 'mc',
    env: { MC_HOST_bench: `${url.protocol}//${accessKey}:${secretKey}@${url.host}` },
    version: [program, '--version'],
    help: [program, '--help'],
    uploadAll: (folder, bucket) => [...start, 'cp', '--recursive', `${folder}/`, `bench/${bucket}/small/`],
    list: (bucket) => [...start, 'ls', '--recursive', `bench/${bucket}`],
    downloadAll: (bucket, folder) => [...start, 'cp', '--recursive', `bench/${bucket}/small/`, `${folder}/`],
    deleteAll: (bucket) => [...start, 'rm', '--recursive', '--force', `bench/${bucket}/small/`],
    uploadOne: (file, bucket) => [...start, 'cp', file, `bench/${bucket}/big`],
    downloadOne: (bucket, file) => [...start, 'cp', `bench/${bucket}/big`, file],
  };
}

function rclone({ endpoint, accessKey, secretKey }: S3Server, program: string): Contender {
  const start = [program, '--config', '/dev/null', '--transfers', '32', '--checkers', '32'];
  const at = (bucket: string, path = ''): string => `bench:${bucket}${path}`;
  return {
    name: 'rclone-32',
    env: {
      AWS_CA_BUNDLE: '', // Debian's rclone fails where it is set
      RCLONE_CONFIG_BENCH_TYPE: 's3',
      RCLONE_CONFIG_BENCH_PROVIDER: 'Other',
      RCLONE_CONFIG_BENCH_ENDPOINT: endpoint,
      RCLONE_CONFIG_BENCH_ACCESS_KEY_ID: accessKey,
      RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY: secretKey,
      RCLONE_CONFIG_BENCH_REGION: 'us-east-1',
    },
    version: [program, 'version'],
    help: [program, '--help'],
    uploadAll: (folder, bucket) => [...start, 'copy', folder, at(bucket, '/small')],
    list: (bucket) => [...start, 'lsf', '--recursive', '--format', 'tsp', at(bucket)],
    downloadAll: (bucket, folder) => [...start, 'copy', at(bucket, '/small'), folder],
    deleteAll: (bucket) => [...start, 'delete', at(bucket, '/small')],
    uploadOne: (file, bucket) => [...start, 'copyto', file, at(bucket, '/big')],
    downloadOne: (bucket, file) => [...start, 'copyto', at(bucket, '/big'), file],
  };
}

function aws({ endpoint, accessKey, secretKey }: S3Server, program: string): Contender {
  const start = [program, '--endpoint-url', endpoint, 's3'];
  return {
    name: 'aws',
    env: {
      AWS_ACCESS_KEY_ID: accessKey,
      AWS_SECRET_ACCESS_KEY: secretKey,
      AWS_DEFAULT_REGION: 'us-east-1',
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    version: [program, '--version'],
    help: [program, '--version'],
    uploadAll: (folder, bucket) => [...start, 'cp', '--recursive', '--only-show-errors', folder, `s3://${bucket}/small/`],
    list: (bucket) => [...start, 'ls', '--recursive', `s3://${bucket}`],
    downloadAll: (bucket, folder) => [...start, 'cp', '--recursive', '--only-show-errors', `s3://${bucket}/small/`, folder],
    deleteAll: (bucket) => [...start, 'rm', '--recursive', '--only-show-errors', `s3://${bucket}/small/`],
    uploadOne: (file, bucket) => [...start, 'cp', '--only-show-errors', file, `s3://${bucket}/big`],
    downloadOne: (bucket, file) => [...start, 'cp', '--only-show-errors', `s3://${bucket}/big`, file],
  };
}
