import { join } from 'node:path';

import { isAwsHost } from '@coffer/backend-s3/aws-host';
import { cannedAcls, storageClasses } from '@coffer/storage-core';
import type { CannedAcl } from '@coffer/storage-core';
import { patternProblem } from '@coffer/tenancy';

import type { EnvReader, Parser } from './env-reader.ts';
import {
  booleanText,
  bucketName,
  endpointUrl,
  isQuoted,
  keyText,
  oneOf,
  origins,
  pathFrom,
  quotesKept,
  regionName,
  seconds,
  text,
  wholeNumber,
} from './parsers.ts';

/** The STORAGE_ variables. Times are in seconds, sizes in bytes. */
export interface StorageConfig {
  readonly enabled: boolean;
  /** `local`, `s3`, `minio`, or the module name of a third-party backend. */
  readonly backend: string;
  /** The default bucket. */
  readonly bucket?: string;
  /** Region of signatures and of new buckets. */
  readonly region: string;
  readonly multiTenancy: boolean;
  /** With `{tenant_slug}`, `{tenant_uuid}`, or both. */
  readonly bucketNamingPattern: string;
  /** Bucket of calls without a tenant, with multi-tenancy. */
  readonly sharedBucket: string;
  readonly requireTenantContext: boolean;
  readonly autoProvision: boolean;
  readonly defaultAcl: CannedAcl;
  /** S3's name of the class. */
  readonly defaultStorageClass: string;
  /** Maximum number of sockets to the provider. */
  readonly maxPoolConnections: number;
  /** Retries after the first attempt. */
  readonly maxRetries: number;
  readonly retryMode: 'standard' | 'adaptive';
  /** Limit for connecting, and for a body without progress. */
  readonly timeout: number;
  /** Set by commands, and by no variable: whether to wait for a provider that is being restarted. */
  readonly patient?: boolean;
  /** Likewise: parts of one upload that are sent at once, if they take long. */
  readonly partsAtOnce?: number;
  /** Whether storage counts towards readiness. */
  readonly healthCheckEnabled: boolean;
  /** Until an unresponsive provider counts as down. */
  readonly healthCheckTimeout: number;
  /** Lifetime of presigned URLs unless a call says otherwise. */
  readonly presignExpires: number;
  /** `*` for all origins. */
  readonly corsOrigins: readonly string[];
  /** Limit for one direct upload. */
  readonly maxUploadBytes: number;
  /** An absolute path. */
  readonly localPath: string;
  readonly s3: S3Config;
  /** With a third-party backend: the STORAGE_ variables that Coffer does not know, which may be the backend's own. */
  readonly extra: Readonly<Record<string, string>>;
}

/** The STORAGE_S3_ variables. */
export interface S3Config {
  /** Without the two keys, the SDK's default credential chain applies. */
  readonly accessKey?: string;
  readonly secretKey?: string;
  /** A URL; AWS when left out. */
  readonly endpoint?: string;
  /** The endpoint that presigned URLs are signed for. Default: `endpoint`. */
  readonly publicEndpoint?: string;
  /** Whether endpoints given without a scheme use https. */
  readonly useSsl: boolean;
  /** False accepts any certificate. */
  readonly verifySsl: boolean;
  /** Use `endpoint/bucket/key` instead of `bucket.endpoint/key`. */
  readonly forcePathStyle: boolean;
  /** What carries all calls: Coffer's own signed requests, or the AWS SDK. */
  readonly transport: 'lean' | 'sdk';
}

const ownBackends = ['local', 's3', 'minio'] as const;
/** A backend of this repository. */
export type OwnBackend = (typeof ownBackends)[number];

export function isOwnBackend(name: string): name is OwnBackend {
  return ownBackends.some((own) => own === name);
}

/** Backends that are only announced so far. */
const announced = ['gcs', 'azure'];
const retryModes = ['standard', 'adaptive', 'legacy'] as const;
const transports = ['lean', 'sdk'] as const;
const longestPresign = 604_800;

const backendName: Parser<string> = (value) => {
  const name = value.trim();
  const lower = name.toLowerCase();
  if (announced.includes(lower))
    return { problem: `${lower} is not available yet; use local, s3, minio, or the module name of a third-party backend.` };
  if (isOwnBackend(lower)) return { value: lower };
  const isModule = /^(?:@[a-z0-9~][\w.~-]*\/)?[a-z0-9~][\w.~-]*(?:\/[\w.~-]+)*$/i.test(name) || /^\.{0,2}\//.test(name);
  const isUrl = name.startsWith('file://') && URL.canParse(name);
  return isModule || isUrl ? { value: name } : { problem: 'must be local, s3, minio, or the module name of a third-party backend.' };
};

/** What is wrong with a name that matches no module. */
export const noSuchBackend = 'names neither a backend (local, s3, minio) nor a module that is installed.';

const bucketPattern: Parser<string> = (value) => {
  const problem = patternProblem(value.trim());
  return problem === undefined ? { value: value.trim() } : { problem };
};

export function readStorage(env: EnvReader, from: { readonly cwd: string; readonly dataDir: string }): StorageConfig {
  const enabled = env.value('STORAGE_ENABLED', booleanText, true);
  const backend = env.value('STORAGE_BACKEND', backendName, 'local');
  const isLocal = backend === 'local';
  const isOurs = isOwnBackend(backend);
  if (enabled && !env.isSet('STORAGE_BACKEND') && (env.isSet('STORAGE_S3_ENDPOINT') || env.isSet('STORAGE_S3_ACCESS_KEY'))) {
    env.warnings.push('STORAGE_BACKEND is not set: objects are kept on the local disk, and STORAGE_S3_… variables have no effect.');
  }
  const bucket = env.optional('STORAGE_BUCKET', bucketName) ?? (isLocal ? 'coffer-uploads' : undefined);
  const multiTenancy = env.value('STORAGE_ENABLE_MULTI_TENANCY', booleanText, false);
  if (enabled && bucket === undefined && !multiTenancy) {
    env.warnings.push('STORAGE_BUCKET is not set: calls that name no bucket fail with storage_not_configured.');
  }
  const storageClass = env.value('STORAGE_DEFAULT_STORAGE_CLASS', isOurs ? oneOf(storageClasses) : text, 'STANDARD');
  const presignExpires = env.value('STORAGE_PRESIGN_EXPIRES', wholeNumber(1, Number.MAX_SAFE_INTEGER), 3600);
  if (presignExpires > longestPresign) env.warnings.push(`STORAGE_PRESIGN_EXPIRES is clamped to ${longestPresign} seconds (7 days).`);
  const retryMode = env.value('STORAGE_RETRY_MODE', oneOf(retryModes), 'standard');
  if (retryMode === 'legacy') env.warnings.push('STORAGE_RETRY_MODE=legacy is taken as standard.');

  return {
    enabled,
    backend,
    ...(bucket !== undefined && { bucket }),
    region: env.value('STORAGE_S3_REGION', regionName, 'us-east-1'),
    multiTenancy,
    bucketNamingPattern: env.value('STORAGE_BUCKET_NAMING_PATTERN', bucketPattern, '{tenant_slug}-uploads'),
    sharedBucket: env.value('STORAGE_SHARED_BUCKET', bucketName, 'staging-uploads'),
    requireTenantContext: env.value('STORAGE_REQUIRE_TENANT_CONTEXT', booleanText, false),
    autoProvision: env.value('STORAGE_AUTO_PROVISION', booleanText, isLocal),
    defaultAcl: env.value('STORAGE_DEFAULT_ACL', oneOf(cannedAcls), 'private'),
    defaultStorageClass: storageClass,
    maxPoolConnections: env.value('STORAGE_MAX_POOL_CONNECTIONS', wholeNumber(1, 10_000), 10),
    maxRetries: env.value('STORAGE_MAX_RETRIES', wholeNumber(0, 100), 3),
    retryMode: retryMode === 'legacy' ? 'standard' : retryMode,
    timeout: env.value('STORAGE_TIMEOUT', seconds(86_400), 60),
    healthCheckEnabled: env.value('STORAGE_HEALTH_CHECK_ENABLED', booleanText, true),
    healthCheckTimeout: env.value('STORAGE_HEALTH_CHECK_TIMEOUT', seconds(300), 5),
    presignExpires: Math.min(presignExpires, longestPresign),
    corsOrigins: env.value('STORAGE_CORS_ORIGINS', origins, ['*']),
    maxUploadBytes: env.value('STORAGE_MAX_UPLOAD_BYTES', wholeNumber(1, Number.MAX_SAFE_INTEGER), 5_368_709_120),
    localPath: env.value('STORAGE_LOCAL_PATH', pathFrom(from.cwd), join(from.dataDir, 'objects')),
    s3: readS3(env, enabled ? backend : ''),
    extra: isOurs ? {} : env.rest('STORAGE_'),
  };
}

function readS3(env: EnvReader, backend: string): S3Config {
  const accessKey = env.optional('STORAGE_S3_ACCESS_KEY', keyText);
  const secretKey = env.optional('STORAGE_S3_SECRET_KEY', keyText);
  if (accessKey !== undefined && isQuoted(accessKey)) env.warnings.push(quotesKept('STORAGE_S3_ACCESS_KEY'));
  if (secretKey !== undefined && isQuoted(secretKey)) env.warnings.push(quotesKept('STORAGE_S3_SECRET_KEY'));
  const incomplete = 'is missing: the access key and the secret key are set both or neither.';
  if (accessKey !== undefined && !env.isSet('STORAGE_S3_SECRET_KEY')) env.mistake('STORAGE_S3_SECRET_KEY', incomplete);
  if (!env.isSet('STORAGE_S3_ACCESS_KEY') && secretKey !== undefined) env.mistake('STORAGE_S3_ACCESS_KEY', incomplete);

  const useSsl = env.value('STORAGE_S3_USE_SSL', booleanText, true);
  const endpoint = env.optional('STORAGE_S3_ENDPOINT', endpointUrl(useSsl));
  const publicEndpoint = env.optional('STORAGE_S3_PUBLIC_ENDPOINT', endpointUrl(useSsl)) ?? endpoint;
  if (backend === 'minio' && !env.isSet('STORAGE_S3_ENDPOINT')) {
    env.mistake('STORAGE_S3_ENDPOINT', 'is required by the minio backend: the URL of the server, like http://127.0.0.1:9000.');
  }
  const verifySsl = env.value('STORAGE_S3_VERIFY_SSL', booleanText, true);
  if (!verifySsl)
    env.warnings.push(
      'STORAGE_S3_VERIFY_SSL=false accepts any certificate: whoever is between here and the provider can read and change everything.',
    );

  return {
    ...(accessKey !== undefined && { accessKey }),
    ...(secretKey !== undefined && { secretKey }),
    ...(endpoint !== undefined && { endpoint }),
    ...(publicEndpoint !== undefined && { publicEndpoint }),
    useSsl,
    verifySsl,
    forcePathStyle: env.value(
      'STORAGE_S3_FORCE_PATH_STYLE',
      booleanText,
      backend === 'minio' || (endpoint !== undefined && !isAwsHost(new URL(endpoint).hostname)),
    ),
    transport: env.value('STORAGE_S3_TRANSPORT', oneOf(transports), 'lean'),
  };
}
