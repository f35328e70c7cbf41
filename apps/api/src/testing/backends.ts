import { startS3, UnavailableServerError } from '@coffer/fixtures';
import type { S3Kind, S3Server } from '@coffer/fixtures';

/** What a backend can do, as the tests of the API have to know it. Everything else is the same on each. */
export interface Abilities {
  readonly acl: boolean;
  /** Canned ACLs that the provider does not have. */
  readonly refusedAcls: readonly string[];
  readonly versioning: boolean;
  readonly lifecycle: boolean;
  /** Whether rules may abort stale multipart uploads, and move objects to another class. */
  readonly abortRule: boolean;
  readonly transitionRule: boolean;
  /** A storage class besides STANDARD; undefined where there is none. */
  readonly otherClass: string | undefined;
  /** Whether each bucket has a region of its own. */
  readonly regions: boolean;
  /** What the provider calls the region of a bucket that was made in the configured one. */
  readonly region: string;
  /** Which origins may use a bucket is a setting of that bucket; where not, the server lets all of them. */
  readonly bucketCors: boolean;
  /** The provider knows the sha256 of each object; where not, a file has the one that was declared, or none. */
  readonly hashes: boolean;
  /** Whether the provider cannot hold a key. */
  readonly refusesKey: (key: string) => boolean;
  /** `x/y` is left out of lists while there is an `x`. */
  readonly hidesKeysBelowObjects: boolean;
  /** Objects are files of this machine, and presigned URLs are served by the API itself. */
  readonly local: boolean;
}

/** Where the API's tests run: environment variables, and what may be expected of what they lead to. */
export interface TestBackend {
  readonly title: string;
  /** The `backend` label in metrics and logs. */
  readonly label: string;
  readonly env: Readonly<Record<string, string>>;
  readonly abilities: Abilities;
  /** The server of an S3 backend. */
  readonly server?: S3Server;
  /** Why there is none here, where there is none. */
  readonly missing?: string;
  /** Whether tests fail rather than be skipped where there is none. */
  readonly required: boolean;
}

const all: Abilities = {
  acl: true,
  refusedAcls: [],
  versioning: true,
  lifecycle: true,
  abortRule: true,
  transitionRule: true,
  otherClass: undefined,
  regions: false,
  region: 'us-east-1',
  bucketCors: true,
  hashes: false,
  refusesKey: () => false,
  hidesKeysBelowObjects: false,
  local: false,
};

const local: TestBackend = {
  title: 'local',
  label: 'local',
  env: {},
  required: true,
  abilities: { ...all, versioning: false, lifecycle: false, otherClass: 'STANDARD_IA', regions: true, hashes: true, local: true },
};

async function ceph(): Promise<TestBackend> {
  const abilities = { ...all, refusedAcls: ['aws-exec-read'], region: 'default' };
  return { title: 'Ceph', label: 's3', abilities, required: true, ...(await onServer('ceph', 's3')) };
}

async function minio(): Promise<TestBackend> {
  const abilities: Abilities = {
    ...all,
    acl: false,
    abortRule: false,
    bucketCors: false,
    transitionRule: false,
    otherClass: 'REDUCED_REDUNDANCY',
    refusesKey: (key) => key.includes('//') || /\\\.\.\\/.test(key) || key.split('/').some((segment) => Buffer.byteLength(segment) > 255),
    hidesKeysBelowObjects: true,
  };
  return { title: 'MinIO', label: 'minio', abilities, required: false, ...(await onServer('minio', 'minio')) };
}

async function onServer(kind: S3Kind, backend: string): Promise<Pick<TestBackend, 'env' | 'server' | 'missing'>> {
  try {
    const server = await startS3(kind);
    const env = {
      STORAGE_BACKEND: backend,
      STORAGE_S3_ENDPOINT: server.endpoint,
      STORAGE_S3_ACCESS_KEY: server.accessKey,
      STORAGE_S3_SECRET_KEY: server.secretKey,
      STORAGE_AUTO_PROVISION: 'true', // as on local, where it is the default
    };
    return { env, server };
  } catch (error) {
    if (!(error instanceof UnavailableServerError)) throw error;
    return { env: {}, missing: error.message.replaceAll(/\s+/g, ' ') };
  }
}

/** The local disk and Ceph RGW always, MinIO wherever it can be had. */
export const backends: readonly TestBackend[] = [local, ...(await Promise.all([ceph(), minio()]))];
