import type { Config } from './config.ts';
import { redactedConfig } from './redacted-config.ts';

/** The value of a variable: seconds and bytes are numbers, comma-separated lists are arrays. */
export type ConfigValue = string | number | boolean | readonly string[];

/** One variable and its effective value. */
export interface DescribedVariable {
  readonly name: string;
  /** The effective value, which a limit may have changed; undefined if there is none. For a secret, only that it is set. */
  readonly value: ConfigValue | undefined;
  /** Whether the variable is set; if not, whether its value follows from others. */
  readonly source: 'environment' | 'default' | 'derived';
  /** The variables that a derived value follows from. */
  readonly from?: readonly string[];
}

type Reader = (config: Config) => ConfigValue | undefined;

/** In the order and the groups of docs/configuration.md. */
const variables = {
  Server: {
    HOST: (c) => c.server.host,
    PORT: (c) => c.server.port,
    PUBLIC_URL: (c) => c.server.publicUrl,
    LOG_LEVEL: (c) => c.logLevel,
    METRICS_PORT: (c) => c.metrics.port,
    METRICS_HOST: (c) => c.metrics.host,
  },
  'Data and database': {
    COFFER_DATA_DIR: (c) => c.dataDir,
    DATABASE_URL: (c) => c.database.url,
  },
  Tokens: {
    AUTH_JWT_SECRET: (c) => c.auth.secret,
    AUTH_JWKS_URL: (c) => c.auth.jwksUrl,
    AUTH_JWKS_FILE: (c) => c.auth.jwksFile,
    AUTH_ISSUER: (c) => c.auth.issuer,
    AUTH_AUDIENCE: (c) => c.auth.audience,
    AUTH_TENANT_CLAIM: (c) => c.auth.tenantClaim,
  },
  Storage: {
    STORAGE_ENABLED: (c) => c.storage.enabled,
    STORAGE_BACKEND: (c) => c.storage.backend,
    STORAGE_BUCKET: (c) => c.storage.bucket,
    STORAGE_LOCAL_PATH: (c) => c.storage.localPath,
    STORAGE_AUTO_PROVISION: (c) => c.storage.autoProvision,
    STORAGE_DEFAULT_ACL: (c) => c.storage.defaultAcl,
    STORAGE_DEFAULT_STORAGE_CLASS: (c) => c.storage.defaultStorageClass,
    STORAGE_MAX_UPLOAD_BYTES: (c) => c.storage.maxUploadBytes,
    STORAGE_PRESIGN_EXPIRES: (c) => c.storage.presignExpires,
    STORAGE_CORS_ORIGINS: (c) => c.storage.corsOrigins,
    STORAGE_MAX_POOL_CONNECTIONS: (c) => c.storage.maxPoolConnections,
    STORAGE_MAX_RETRIES: (c) => c.storage.maxRetries,
    STORAGE_RETRY_MODE: (c) => c.storage.retryMode,
    STORAGE_TIMEOUT: (c) => c.storage.timeout,
    STORAGE_HEALTH_CHECK_ENABLED: (c) => c.storage.healthCheckEnabled,
    STORAGE_HEALTH_CHECK_TIMEOUT: (c) => c.storage.healthCheckTimeout,
  },
  Tenants: {
    STORAGE_ENABLE_MULTI_TENANCY: (c) => c.storage.multiTenancy,
    STORAGE_BUCKET_NAMING_PATTERN: (c) => c.storage.bucketNamingPattern,
    STORAGE_SHARED_BUCKET: (c) => c.storage.sharedBucket,
    STORAGE_REQUIRE_TENANT_CONTEXT: (c) => c.storage.requireTenantContext,
    TENANT_ID: (c) => c.tenantId,
  },
  'S3 and MinIO': {
    STORAGE_S3_REGION: (c) => c.storage.region,
    STORAGE_S3_ACCESS_KEY: (c) => c.storage.s3.accessKey,
    STORAGE_S3_SECRET_KEY: (c) => c.storage.s3.secretKey,
    STORAGE_S3_ENDPOINT: (c) => c.storage.s3.endpoint,
    STORAGE_S3_PUBLIC_ENDPOINT: (c) => c.storage.s3.publicEndpoint,
    STORAGE_S3_USE_SSL: (c) => c.storage.s3.useSsl,
    STORAGE_S3_VERIFY_SSL: (c) => c.storage.s3.verifySsl,
    STORAGE_S3_FORCE_PATH_STYLE: (c) => c.storage.s3.forcePathStyle,
    STORAGE_S3_TRANSPORT: (c) => c.storage.s3.transport,
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Reader>>>>;

/** Variables whose default follows from others. */
const derivedFrom: Readonly<Record<string, readonly string[]>> = {
  PUBLIC_URL: ['HOST', 'PORT'],
  STORAGE_BUCKET: ['STORAGE_BACKEND'],
  STORAGE_LOCAL_PATH: ['COFFER_DATA_DIR'],
  STORAGE_AUTO_PROVISION: ['STORAGE_BACKEND'],
  STORAGE_S3_PUBLIC_ENDPOINT: ['STORAGE_S3_ENDPOINT'],
  STORAGE_S3_FORCE_PATH_STYLE: ['STORAGE_BACKEND', 'STORAGE_S3_ENDPOINT'],
};

/** Variables that belong together, as docs/configuration.md groups them. */
export interface VariableGroup {
  /** The group's heading there. */
  readonly title: string;
  readonly variables: readonly DescribedVariable[];
}

/** Every variable with its effective value and where that comes from. Safe to print: it holds no secrets. */
export function describeConfig(config: Config): readonly VariableGroup[] {
  const shown = redactedConfig(config);
  const groups = Object.entries(variables).map(([title, readers]) => ({
    title,
    variables: Object.entries<Reader>(readers).map(([name, read]) => described(config, name, read(shown))),
  }));
  const extra = Object.entries(shown.storage.extra);
  if (extra.length === 0) return groups;
  const ofBackend = extra.map(([name, value]): DescribedVariable => ({ name, value, source: 'environment' }));
  return [...groups, { title: "The backend's own", variables: ofBackend }];
}

function described({ sources }: Config, name: string, value: ConfigValue | undefined): DescribedVariable {
  if (sources[name] === 'env') return { name, value, source: 'environment' };
  const from = derivedFrom[name];
  return from === undefined || value === undefined ? { name, value, source: 'default' } : { name, value, source: 'derived', from };
}
