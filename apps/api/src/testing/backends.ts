import { startS3, UnavailableServerError } from '@coffer/fixtures';
import type { S3Kind, S3Server } from '@coffer/fixtures';

/** Abilities of a backend that the API's tests must know about. Everything else is the same on each backend. */
export interface Abilities {
  readonly acl: boolean;
  /** Canned ACLs that the provider does not support. */
  readonly refusedAcls: readonly string[];
  readonly versioning: boolean;
  readonly lifecycle: boolean;
  /** Whether lifecycle rules may abort stale multipart uploads; `transitionRule`, whether they may move objects to another class. */
  readonly abortRule: boolean;
  readonly transitionRule: boolean;
  /** A storage class besides STANDARD; undefined if there is none. */
  readonly otherClass: string | undefined;
  /** Whether each bucket has a region of its own. */
  readonly regions: boolean;
  /** The provider's name for the region of a bucket created in the configured one. */
  readonly region: string;
  /** Whether allowed origins are a setting of each bucket; otherwise the server allows all. */
  readonly bucketCors: boolean;
  /** Whether the provider knows the sha256 of each object; otherwise a file has the declared one, or none. */
  readonly hashes: boolean;
  /** Whether the provider cannot hold a key. */
  readonly refusesKey: (key: string) => boolean;
  /** Whether `x/y` is left out of lists while there is an `x`. */
  readonly hidesKeysBelowObjects: boolean;
  /** Whether objects are files of this machine, and the API itself serves presigned URLs. */
  readonly local: boolean;
}

/** A backend to run the API's tests on: its environment variables, and what to expect of it. */
export interface TestBackend {
  readonly title: string;
  /** The `backend` label in metrics and logs. */
  readonly label: string;
  readonly env: Readonly<Record<string, string>>;
  readonly abilities: Abilities;
  /** The server of an S3 backend. */
  readonly server?: S3Server;
  /** Why the backend is not available here, if it is not. */
  readonly missing?: string;
  /** Whether tests fail, rather than being skipped, if the backend is not available. */
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

/** The local disk and Ceph RGW always, MinIO wherever it is available. */
export const backends: readonly TestBackend[] = [local, ...(await Promise.all([ceph(), minio()]))];
