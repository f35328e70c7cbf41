import { inspect } from 'node:util';

import { describe, expect, it } from 'vitest';

import { ConfigError } from './config-error.ts';
import { parseConfig } from './config.ts';
import type { Config, ParseOptions } from './config.ts';
import type { Env } from './env-reader.ts';
import { redactedConfig } from './redacted-config.ts';

const cwd = '/srv/app';
const parse = (env: Env = {}, options: ParseOptions = {}): Config => parseConfig(env, { cwd, ...options });

function mistakesOf(env: Env, options: ParseOptions = {}): Readonly<Record<string, string>> {
  try {
    parse(env, options);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return Object.fromEntries((error as ConfigError).mistakes.map(({ variable, message }) => [variable, message]));
  }
  return {};
}

describe('defaults', () => {
  it('are those of the contract', () => {
    const { sources, ...config } = parse();
    expect(config).toEqual({
      storage: {
        enabled: true,
        backend: 'local',
        bucket: 'coffer-uploads',
        region: 'us-east-1',
        multiTenancy: false,
        bucketNamingPattern: '{tenant_slug}-uploads',
        sharedBucket: 'staging-uploads',
        requireTenantContext: false,
        autoProvision: true,
        defaultAcl: 'private',
        defaultStorageClass: 'STANDARD',
        maxPoolConnections: 10,
        maxRetries: 3,
        retryMode: 'standard',
        timeout: 60,
        healthCheckEnabled: true,
        healthCheckTimeout: 5,
        presignExpires: 3600,
        corsOrigins: ['*'],
        maxUploadBytes: 5_368_709_120,
        localPath: '/srv/app/.coffer/objects',
        s3: { useSsl: true, verifySsl: true, forcePathStyle: false, transport: 'lean' },
        extra: {},
      },
      server: { host: '127.0.0.1', port: 8080, publicUrl: 'http://127.0.0.1:8080' },
      auth: { tenantClaim: 'metadata' },
      metrics: { host: '127.0.0.1' },
      database: {},
      dataDir: '/srv/app/.coffer',
      logLevel: 'info',
      warnings: [],
    });
    expect(new Set(Object.values(sources))).toEqual(new Set(['default']));
  });

  it('stand in for variables that are set but empty', () => {
    const names = Object.keys(parse().sources);
    expect(parse(Object.fromEntries(names.map((name) => [name, ''])))).toEqual(parse());
  });

  it('depend on the backend', () => {
    const other = parse({ STORAGE_BACKEND: '@acme/x', STORAGE_BUCKET: 'acme' }).storage;
    expect(other).toMatchObject({ backend: '@acme/x', bucket: 'acme', autoProvision: false });
    expect(other.s3.forcePathStyle).toBe(false);
    expect(parse({ STORAGE_BACKEND: '@acme/x' }).storage.bucket).toBeUndefined();
    for (const backend of ['s3', 'minio']) {
      const env = { STORAGE_BACKEND: backend.toUpperCase(), STORAGE_S3_ENDPOINT: 'http://store', STORAGE_OF_OTHERS: 'x' };
      expect(parse(env).storage).toMatchObject({ backend, autoProvision: false, extra: {} });
    }
  });
});

describe('every variable', () => {
  const cases: readonly (readonly [string, string, (config: Config) => unknown, unknown])[] = [
    ['STORAGE_ENABLED', 'No', (c) => c.storage.enabled, false],
    ['STORAGE_BACKEND', ' Local', (c) => c.storage.backend, 'local'],
    ['STORAGE_BUCKET', 'acme-files', (c) => c.storage.bucket, 'acme-files'],
    ['STORAGE_S3_REGION', ' RegionOne ', (c) => c.storage.region, 'RegionOne'],
    ['STORAGE_S3_ENDPOINT', 'http://s3.internal:9000/', (c) => c.storage.s3.endpoint, 'http://s3.internal:9000'],
    ['STORAGE_S3_PUBLIC_ENDPOINT', 'https://files.example.com', (c) => c.storage.s3.publicEndpoint, 'https://files.example.com'],
    ['STORAGE_S3_VERIFY_SSL', 'false', (c) => c.storage.s3.verifySsl, false],
    ['STORAGE_S3_FORCE_PATH_STYLE', '1', (c) => c.storage.s3.forcePathStyle, true],
    ['STORAGE_S3_TRANSPORT', 'sdk', (c) => c.storage.s3.transport, 'sdk'],
    ['STORAGE_ENABLE_MULTI_TENANCY', 'TRUE', (c) => c.storage.multiTenancy, true],
    ['STORAGE_BUCKET_NAMING_PATTERN', 'x-{tenant_uuid}', (c) => c.storage.bucketNamingPattern, 'x-{tenant_uuid}'],
    ['STORAGE_SHARED_BUCKET', 'shared', (c) => c.storage.sharedBucket, 'shared'],
    ['STORAGE_REQUIRE_TENANT_CONTEXT', 'yes', (c) => c.storage.requireTenantContext, true],
    ['STORAGE_AUTO_PROVISION', '0', (c) => c.storage.autoProvision, false],
    ['STORAGE_DEFAULT_ACL', 'public-read', (c) => c.storage.defaultAcl, 'public-read'],
    ['STORAGE_DEFAULT_STORAGE_CLASS', 'glacier', (c) => c.storage.defaultStorageClass, 'GLACIER'],
    ['STORAGE_MAX_POOL_CONNECTIONS', '50', (c) => c.storage.maxPoolConnections, 50],
    ['STORAGE_MAX_RETRIES', '0', (c) => c.storage.maxRetries, 0],
    ['STORAGE_RETRY_MODE', 'adaptive', (c) => c.storage.retryMode, 'adaptive'],
    ['STORAGE_TIMEOUT', '2.5', (c) => c.storage.timeout, 2.5],
    ['STORAGE_HEALTH_CHECK_ENABLED', 'false', (c) => c.storage.healthCheckEnabled, false],
    ['STORAGE_HEALTH_CHECK_TIMEOUT', '1', (c) => c.storage.healthCheckTimeout, 1],
    ['STORAGE_PRESIGN_EXPIRES', '60', (c) => c.storage.presignExpires, 60],
    [
      'STORAGE_CORS_ORIGINS',
      'https://A.example, https://*.b.example:8443',
      (c) => c.storage.corsOrigins,
      ['https://a.example', 'https://*.b.example:8443'],
    ],
    ['STORAGE_CORS_ORIGINS', 'web+app://x', (c) => c.storage.corsOrigins, ['web+app://x']],
    ['STORAGE_CORS_ORIGINS', ' * ', (c) => c.storage.corsOrigins, ['*']],
    ['STORAGE_MAX_UPLOAD_BYTES', '1048576', (c) => c.storage.maxUploadBytes, 1_048_576],
    ['STORAGE_LOCAL_PATH', 'files', (c) => c.storage.localPath, '/srv/app/files'],
    ['COFFER_DATA_DIR', '../data', (c) => [c.dataDir, c.storage.localPath], ['/srv/data', '/srv/data/objects']],
    ['DATABASE_URL', 'postgres://u:p@h1:1,h2:2/coffer ', (c) => c.database.url, 'postgres://u:p@h1:1,h2:2/coffer'],
    ['HOST', '[::1]', (c) => [c.server.host, c.server.publicUrl], ['::1', 'http://[::1]:8080']],
    ['PORT', '65535', (c) => c.server.port, 65_535],
    ['PUBLIC_URL', 'https://files.example.com/coffer/', (c) => c.server.publicUrl, 'https://files.example.com/coffer'],
    ['PUBLIC_URL', 'https://files.example.com/coffer/?', (c) => c.server.publicUrl, 'https://files.example.com/coffer'],
    ['AUTH_JWT_SECRET', 'x'.repeat(32), (c) => c.auth.secret, 'x'.repeat(32)],
    ['AUTH_JWKS_URL', 'https://id.example.com/keys', (c) => c.auth.jwksUrl, 'https://id.example.com/keys'],
    ['AUTH_JWKS_URL', 'https://id.example.com/jwks/', (c) => c.auth.jwksUrl, 'https://id.example.com/jwks/'],
    ['AUTH_JWKS_URL', 'https://id.example.com/keys?p=sign-in', (c) => c.auth.jwksUrl, 'https://id.example.com/keys?p=sign-in'],
    ['AUTH_ISSUER', 'https://id.example.com/', (c) => c.auth.issuer, 'https://id.example.com/'],
    ['AUTH_AUDIENCE', 'coffer', (c) => c.auth.audience, 'coffer'],
    ['AUTH_TENANT_CLAIM', 'org', (c) => c.auth.tenantClaim, 'org'],
    ['METRICS_PORT', '9464', (c) => c.metrics.port, 9464],
    ['METRICS_HOST', '0.0.0.0', (c) => c.metrics.host, '0.0.0.0'],
    ['LOG_LEVEL', 'DEBUG', (c) => c.logLevel, 'debug'],
    ['TENANT_ID', 'acme', (c) => c.tenantId, 'acme'],
  ];

  it.each(cases)('%s=%s', (variable, text, pick, expected) => {
    const config = parse({ [variable]: text });
    expect(pick(config)).toEqual(expected);
    expect(config.sources[variable]).toBe('env');
  });

  it.each<readonly [string, string, (config: Config) => unknown, unknown]>([
    ['STORAGE_ENABLED', ' no\r', (c) => c.storage.enabled, false],
    ['STORAGE_DEFAULT_ACL', ' Public-Read ', (c) => c.storage.defaultAcl, 'public-read'],
    ['STORAGE_BUCKET_NAMING_PATTERN', ' {tenant_slug}-x ', (c) => c.storage.bucketNamingPattern, '{tenant_slug}-x'],
    ['STORAGE_SHARED_BUCKET', 'shared\n', (c) => c.storage.sharedBucket, 'shared'],
    ['STORAGE_TIMEOUT', ' 2.5 ', (c) => c.storage.timeout, 2.5],
    ['STORAGE_S3_ENDPOINT', ' store:9000/ ', (c) => c.storage.s3.endpoint, 'https://store:9000'],
    ['PORT', ' 8081\r\n', (c) => c.server.port, 8081],
    ['HOST', ' localhost ', (c) => c.server.host, 'localhost'],
    ['PUBLIC_URL', ' https://files.example.com// ', (c) => c.server.publicUrl, 'https://files.example.com'],
    ['AUTH_AUDIENCE', ' coffer\n', (c) => c.auth.audience, 'coffer'],
  ])('may have white space around it: %s=%j', (variable, text, pick, expected) => {
    expect(pick(parse({ [variable]: text }))).toBe(expected);
  });

  it('is in this table, or tested elsewhere', () => {
    const below = ['AUTH_JWKS_FILE', 'STORAGE_S3_ACCESS_KEY', 'STORAGE_S3_SECRET_KEY', 'STORAGE_S3_USE_SSL'];
    expect(Object.keys(parse().sources).toSorted()).toEqual([...new Set([...cases.map(([variable]) => variable), ...below])].toSorted());
  });
});

describe('mistakes', () => {
  it.each([
    ['STORAGE_ENABLED', 'maybe', 'true or false'],
    ['STORAGE_BACKEND', 'gcs', 'gcs is not available yet'],
    ['STORAGE_BACKEND', 'Azure', 'azure is not available yet'],
    ['STORAGE_BACKEND', 'my backend!', 'module name'],
    ['STORAGE_BACKEND', 'file://[', 'module name'],
    ['STORAGE_BACKEND', 'https://acme.example/backend.mjs', 'module name'],
    ['STORAGE_BACKEND', 'data:text/javascript,0', 'module name'],
    ['STORAGE_BUCKET', 'Under_Score', 'lower-case letters'],
    ['STORAGE_SHARED_BUCKET', 'xn--x', 'xn--'],
    ['STORAGE_S3_ENDPOINT', 'ftp://host', 'http://'],
    ['STORAGE_S3_ENDPOINT', 'https://user:pass@host', 'http://'],
    ['STORAGE_S3_PUBLIC_ENDPOINT', 'a b', 'host'],
    ['STORAGE_S3_REGION', '   ', 'us-east-1'],
    ['STORAGE_S3_REGION', 'eu west 1', 'us-east-1'],
    ['STORAGE_S3_REGION', 'eu-west-1/s3', 'us-east-1'],
    ['STORAGE_S3_USE_SSL', '2', 'true or false'],
    ['STORAGE_S3_TRANSPORT', 'fast', 'lean, sdk'],
    ['STORAGE_BUCKET_NAMING_PATTERN', '{tenant}-x', '{tenant_slug}'],
    ['STORAGE_BUCKET_NAMING_PATTERN', 'fixed', '{tenant_uuid}'],
    ['STORAGE_DEFAULT_ACL', 'open', 'public-read'],
    ['STORAGE_DEFAULT_STORAGE_CLASS', 'FROZEN', 'STANDARD_IA'],
    ['STORAGE_MAX_POOL_CONNECTIONS', '0', 'from 1 to'],
    ['STORAGE_MAX_RETRIES', '-1', 'from 0 to'],
    ['STORAGE_RETRY_MODE', 'never', 'standard, adaptive, legacy'],
    ['STORAGE_TIMEOUT', '0', 'seconds above 0'],
    ['STORAGE_TIMEOUT', '60s', 'seconds above 0'],
    ['STORAGE_TIMEOUT', '1e3', 'seconds above 0'],
    ['STORAGE_HEALTH_CHECK_TIMEOUT', 'Infinity', 'seconds above 0'],
    ['STORAGE_PRESIGN_EXPIRES', '1.5', 'whole number'],
    ['STORAGE_CORS_ORIGINS', 'https://a.example/path', 'without a path'],
    ['STORAGE_CORS_ORIGINS', 'a.example', 'origins like'],
    ['STORAGE_CORS_ORIGINS', 'https://a.example, b.example', 'origins like'],
    ['STORAGE_CORS_ORIGINS', 'https://a.example,', 'origins like'],
    ['STORAGE_CORS_ORIGINS', '0https://a.example', 'origins like'],
    ['STORAGE_CORS_ORIGINS', 'https://a.example?x', 'without a path'],
    ['STORAGE_CORS_ORIGINS', 'https://me@a.example', 'origins like'],
    ['COFFER_DATA_DIR', 'a\0b', 'path'],
    ['STORAGE_MAX_UPLOAD_BYTES', '5GB', 'whole number'],
    ['DATABASE_URL', 'mysql://u:p@h/db', 'postgres://'],
    ['DATABASE_URL', 'postgres://u:p@h', 'database'],
    ['DATABASE_URL', 'postgres:///db', 'host'],
    ['DATABASE_URL', 'postgres://u:p@h1:5432,/db', 'invalid host'],
    ['DATABASE_URL', 'postgres://u:p%@h/db', '"%"'],
    ['DATABASE_URL', 'postgres://u:p@h/db?sslmode=verfy-full', 'sslmode'],
    ['HOST', '999.1.1.1', 'IP address'],
    ['HOST', '::zz', 'IP address'],
    ['DATABASE_URL', 'postgres://u:p@h1,h2:70000/db', 'postgres://'],
    ['DATABASE_URL', 'postgres:///db?host=h&port=0', 'outside 1 to 65535'],
    ['DATABASE_URL', 'postgres://u:p@h1,h2/db?target_session_attrs=standby', 'target_session_attrs'],
    ['HOST', 'http://x', 'host name'],
    ['HOST', 'a[b]', 'host name'],
    ['HOST', '[a]b', 'host name'],
    ['PORT', '65536', 'from 0 to 65535'],
    ['PORT', '8080.5', 'whole number'],
    ['PUBLIC_URL', 'files.example.com', 'http://'],
    ['PUBLIC_URL', 'shttp://files.example.com', 'http://'],
    ['PUBLIC_URL', 'https://files.example.com/#x', 'fragment'],
    ['PUBLIC_URL', 'https://files.example.com/?x=1', 'query'],
    ['PUBLIC_URL', 'https://me@files.example.com', 'user name'],
    ['PUBLIC_URL', 'https://:secret@files.example.com', 'user name'],
    ['AUTH_JWT_SECRET', 'short-secret', 'at least 32 bytes'],
    ['AUTH_JWKS_URL', 'file:///keys', 'http://'],
    ['AUTH_JWKS_URL', 'https://me@id.example.com/keys', 'user name'],
    ['AUTH_JWKS_URL', 'https://id.example.com/keys#x', 'fragment'],
    ['AUTH_ISSUER', ' ', 'blank'],
    ['METRICS_PORT', '8080', 'another port'],
    ['LOG_LEVEL', 'loud', 'fatal, error, warn'],
  ])('%s=%s', (variable, text, hint) => {
    const mistakes = mistakesOf({ [variable]: text });
    expect(Object.keys(mistakes)).toEqual([variable]);
    expect(mistakes[variable]).toContain(hint);
  });

  it.each([
    ['STORAGE_TIMEOUT', '86400', '86401'],
    ['STORAGE_TIMEOUT', '0.000001', '0.0000001'],
    ['STORAGE_HEALTH_CHECK_TIMEOUT', '300', '300.5'],
    ['STORAGE_MAX_POOL_CONNECTIONS', '10000', '10001'],
    ['STORAGE_MAX_RETRIES', '100', '101'],
    ['STORAGE_PRESIGN_EXPIRES', '1', '0'],
    ['STORAGE_PRESIGN_EXPIRES', '9007199254740991', '9007199254740993'],
    ['STORAGE_MAX_UPLOAD_BYTES', '1', '0'],
    ['PORT', '0', '-1'],
    ['METRICS_PORT', '65535', '65536'],
    ['AUTH_JWT_SECRET', 'x'.repeat(32), 'x'.repeat(31)],
    ['STORAGE_S3_REGION', 'a'.repeat(63), 'a'.repeat(64)],
  ])('begin where a value is too large or too small: %s', (variable, within, beyond) => {
    expect(mistakesOf({ [variable]: within })).toEqual({});
    expect(Object.keys(mistakesOf({ [variable]: beyond }))).toEqual([variable]);
  });

  it('are all in one message, with a line for each', () => {
    const env = { PORT: 'x', STORAGE_BACKEND: 'gcs', STORAGE_BUCKET: 'X', LOG_LEVEL: 'x', AUTH_JWT_SECRET: 'x' };
    expect(() => parse(env)).toThrow(/^The configuration has 5 mistakes:\n(?: {2}[A-Z_]+: .+\n?){5}$/);
    expect(Object.keys(mistakesOf(env)).toSorted()).toEqual(Object.keys(env).toSorted());
  });

  it('come with the misspelt variables that may be their cause', () => {
    expect(mistakesOf({ STORAGE_S3_SECRET_KEY: 'x', STORAGE_S3_ACCES_KEY: 'x', COFFER_OTHER: 'x' })).toEqual({
      STORAGE_S3_ACCESS_KEY: expect.stringContaining('is missing') as string,
      STORAGE_S3_ACCES_KEY: 'is no variable of Coffer; did you mean STORAGE_S3_ACCESS_KEY?',
    });
  });

  it('never show a value', () => {
    const secret = 'hunter2hunter2';
    const names = Object.keys(parse().sources).filter((name) => !['STORAGE_BACKEND', 'HOST'].includes(name));
    const env = Object.fromEntries(names.map((name) => [name, `${secret} \0 !`]));
    const error = (() => {
      try {
        parse(env);
        return undefined;
      } catch (thrown) {
        return thrown as ConfigError;
      }
    })();
    expect(error?.mistakes.length).toBeGreaterThan(20);
    expect(error?.message).not.toContain('hunter2');
    expect(inspect(error, { depth: 10 })).not.toContain('hunter2');
  });
});

describe('the parsed configuration', () => {
  const secrets = {
    AUTH_JWT_SECRET: 'jwt-secret-jwt-secret-jwt-secret-',
    STORAGE_BACKEND: '@acme/x',
    STORAGE_BUCKET: 'acme',
    STORAGE_S3_ACCESS_KEY: 'access-key',
    STORAGE_S3_SECRET_KEY: 'secret-key',
    STORAGE_ACME_TOKEN: 'acme-token',
    DATABASE_URL: 'postgres://coffer:db-password@db.example:5432/coffer?sslpassword=ssl-password',
  };

  it('cannot be changed, at any depth', () => {
    const config = parse();
    expect(() => Object.assign(config, { dataDir: '/' })).toThrow(TypeError);
    expect(() => Object.assign(config.storage.s3, { transport: 'sdk' })).toThrow(TypeError);
    expect(() => (config.storage.corsOrigins as string[]).push('x')).toThrow(TypeError);
  });

  it('can be printed without its secrets', () => {
    const config = parse(secrets);
    const printed = JSON.stringify(redactedConfig(config));
    for (const secret of ['jwt-secret', 'access-key', 'secret-key', 'acme-token', 'db-password', 'ssl-password']) {
      expect(JSON.stringify(config)).toContain(secret);
      expect(printed).not.toContain(secret);
    }
    expect(redactedConfig(config).database.url).toBe('postgres://coffer:***@db.example:5432/coffer');
    const several = parse({ DATABASE_URL: 'postgres://u:db-password@h1:1,[::1],h2:2/coffer?password=x' });
    expect(redactedConfig(several).database.url).toBe('postgres://u:***@h1:1,[::1],h2:2/coffer');
    expect(redactedConfig(config)).toMatchObject({
      auth: { secret: '[set]' },
      storage: { s3: { accessKey: '[set]', secretKey: '[set]' }, extra: { STORAGE_ACME_TOKEN: '[set]' } },
    });
    const keys = parse({ AUTH_JWKS_URL: 'https://id.example.com/keys?key=api-key' });
    expect(redactedConfig(keys).auth.jwksUrl).toBe('https://id.example.com/keys?[set]');
    expect(redactedConfig(parse({ AUTH_JWKS_URL: 'https://id.example.com/jwks/' })).auth.jwksUrl).toBe('https://id.example.com/jwks/');
    expect(redactedConfig(parse())).toEqual(parse());
  });
});
