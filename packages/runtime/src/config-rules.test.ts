import { describe, expect, it } from 'vitest';

import { ConfigError } from './config-error.ts';
import { parseConfig } from './config.ts';
import type { Config, ParseOptions } from './config.ts';
import type { Env } from './env-reader.ts';

const parse = (env: Env = {}, options: ParseOptions = {}): Config => parseConfig(env, { cwd: '/srv/app', ...options });

function mistakesOf(env: Env, options: ParseOptions = {}): Readonly<Record<string, string>> {
  try {
    parse(env, options);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return Object.fromEntries((error as ConfigError).mistakes.map(({ variable, message }) => [variable, message]));
  }
  return {};
}

describe('rules between variables', () => {
  it('want both keys or neither', () => {
    expect(Object.keys(mistakesOf({ STORAGE_S3_ACCESS_KEY: 'a' }))).toEqual(['STORAGE_S3_SECRET_KEY']);
    expect(Object.keys(mistakesOf({ STORAGE_S3_SECRET_KEY: 'a' }))).toEqual(['STORAGE_S3_ACCESS_KEY']);
    const spread = mistakesOf({ STORAGE_S3_ACCESS_KEY: 'a\na', STORAGE_S3_SECRET_KEY: 'b\r\nb' });
    expect(Object.keys(spread).sort()).toEqual(['STORAGE_S3_ACCESS_KEY', 'STORAGE_S3_SECRET_KEY']);
    expect(spread['STORAGE_S3_SECRET_KEY']).toMatch(/^must not have a line end/);
    expect(parse({ STORAGE_S3_ACCESS_KEY: 'a', STORAGE_S3_SECRET_KEY: ' b' }).storage.s3).toMatchObject({
      accessKey: 'a',
      secretKey: ' b',
    });
  });

  it('take keys and paths without the line ends of the files that they come from', () => {
    const keys = parse({ STORAGE_S3_ACCESS_KEY: 'a\n', STORAGE_S3_SECRET_KEY: ' b \r\n' }).storage.s3;
    expect(keys).toMatchObject({ accessKey: 'a', secretKey: ' b ' });
    expect(parse({ COFFER_DATA_DIR: '/srv/a b \r' }).dataDir).toBe('/srv/a b ');
    expect(mistakesOf({ STORAGE_S3_ACCESS_KEY: 'a', STORAGE_S3_SECRET_KEY: '\n', COFFER_DATA_DIR: '\r' })).toEqual({
      STORAGE_S3_SECRET_KEY: 'must not be blank.',
      COFFER_DATA_DIR: 'must be a path, on one line.',
    });
    expect(mistakesOf({ STORAGE_S3_ACCESS_KEY: '\n', STORAGE_S3_SECRET_KEY: 'b' })).toEqual({
      STORAGE_S3_ACCESS_KEY: 'must not be blank.',
    });
  });

  it('take no path and no name with the quotes that a shell would remove, and no path of two lines', () => {
    const quoted = {
      COFFER_DATA_DIR: '"/var/lib/coffer"',
      STORAGE_LOCAL_PATH: "'/srv/objects'\n",
      AUTH_JWKS_FILE: '"keys.json"',
      AUTH_ISSUER: '"https://login.example.com/"',
      AUTH_AUDIENCE: "'coffer'",
      TENANT_ID: ' "acme" ',
    };
    const mistakes = mistakesOf(quoted);
    expect(Object.keys(mistakes).sort()).toEqual(Object.keys(quoted).sort());
    for (const message of Object.values(mistakes)) expect(message).toContain('quotes around it');
    expect(mistakesOf({ COFFER_DATA_DIR: '/srv/a\n/srv/b' })).toEqual({ COFFER_DATA_DIR: 'must be a path, on one line.' });
    expect(parse({ COFFER_DATA_DIR: `/srv/"a"` }).dataDir).toBe('/srv/"a"');
    expect(parse({ COFFER_DATA_DIR: `a"` }).dataDir).toBe('/srv/app/a"');
  });

  it('want an endpoint for minio, unless storage is off', () => {
    expect(Object.keys(mistakesOf({ STORAGE_BACKEND: 'minio' }))).toContain('STORAGE_S3_ENDPOINT');
    expect(mistakesOf({ STORAGE_BACKEND: 'minio', STORAGE_ENABLED: 'false' })).toEqual({});
    expect(mistakesOf({ STORAGE_BACKEND: 'minio', STORAGE_S3_ENDPOINT: 'ftp://x' })['STORAGE_S3_ENDPOINT']).toMatch(/^must be a host/);
  });

  it('name a backend that is not installed together with what else is wrong', () => {
    expect(Object.keys(mistakesOf({ STORAGE_BACKEND: '@acme/never-installed', PORT: 'x' }))).toEqual(['PORT', 'STORAGE_BACKEND']);
    expect(Object.keys(mistakesOf({ STORAGE_BACKEND: './absent.mjs', PORT: 'x' }))).toEqual(['PORT', 'STORAGE_BACKEND']);
    const installed = ['@coffer/storage-core', import.meta.filename, import.meta.url];
    for (const STORAGE_BACKEND of installed) expect(Object.keys(mistakesOf({ STORAGE_BACKEND, PORT: 'x' }))).toEqual(['PORT']);
    expect(Object.keys(mistakesOf({ STORAGE_BACKEND: '@acme/never-installed', STORAGE_ENABLED: 'false', PORT: 'x' }))).toEqual(['PORT']);
  });

  it('take the scheme of an endpoint from its URL, else from STORAGE_S3_USE_SSL', () => {
    const endpoint = (env: Env): unknown => parse(env).storage.s3.endpoint;
    expect(endpoint({ STORAGE_S3_ENDPOINT: 'minio:9000' })).toBe('https://minio:9000');
    expect(endpoint({ STORAGE_S3_ENDPOINT: 'minio:9000', STORAGE_S3_USE_SSL: 'false' })).toBe('http://minio:9000');
    expect(endpoint({ STORAGE_S3_ENDPOINT: 'https://minio:9000', STORAGE_S3_USE_SSL: 'false' })).toBe('https://minio:9000');
    expect(endpoint({ STORAGE_S3_ENDPOINT: 'http://minio:9000' })).toBe('http://minio:9000');
    const { s3 } = parse({ STORAGE_S3_PUBLIC_ENDPOINT: 'files.example', STORAGE_S3_USE_SSL: 'false' }).storage;
    expect(s3.publicEndpoint).toBe('http://files.example');
  });

  it('sign for the endpoint unless there is a public one, and use paths where it is not Amazon', () => {
    const s3 = (env: Env): Config['storage']['s3'] => parse(env).storage.s3;
    expect(s3({ STORAGE_S3_ENDPOINT: 'https://ceph.example' })).toMatchObject({
      publicEndpoint: 'https://ceph.example',
      forcePathStyle: true,
    });
    for (const host of [
      's3.eu-west-1.amazonaws.com',
      's3.cn-north-1.amazonaws.com.cn',
      's3.eusc-de-east-1.amazonaws.eu',
      's3.eu-west-1.api.aws',
    ])
      expect(s3({ STORAGE_S3_ENDPOINT: `https://${host}` }).forcePathStyle).toBe(false);
    expect(s3({ STORAGE_S3_ENDPOINT: 'https://amazonaws.com.evil.example' }).forcePathStyle).toBe(true);
    const aws = 'https://s3.eu-west-1.amazonaws.com';
    expect(s3({ STORAGE_BACKEND: 'minio', STORAGE_S3_ENDPOINT: aws }).forcePathStyle).toBe(true);
    expect(s3({ STORAGE_S3_ENDPOINT: 'https://ceph.example', STORAGE_S3_FORCE_PATH_STYLE: 'false' }).forcePathStyle).toBe(false);
  });

  it.each(['0.0.0.0', '::', '192.168.1.5', 'files.example.com', '128.0.0.1'])('refuse HOST=%s with a generated secret', (HOST) => {
    const mistakes = mistakesOf({ HOST });
    expect(Object.keys(mistakes)).toEqual(['HOST']);
    expect(mistakes['HOST']).toContain('AUTH_JWT_SECRET');
    expect(mistakesOf({ HOST }, { serve: false })).toEqual({});
    expect(mistakesOf({ HOST, AUTH_JWT_SECRET: 's'.repeat(32) })).toEqual({});
    expect(mistakesOf({ HOST, AUTH_JWKS_URL: 'https://id.example.com/keys' })).toEqual({});
    expect(Object.keys(mistakesOf({ HOST, AUTH_JWKS_FILE: 'absent.json' }))).toEqual(['AUTH_JWKS_FILE']);
    expect(Object.keys(mistakesOf({ HOST, AUTH_ISSUER: 'me' }))).toEqual(['HOST']);
  });

  it.each(['127.0.0.1', '127.8.8.8', 'localhost', 'LOCALHOST', '::1', '[::1]', '::ffff:127.0.0.1'])('allow HOST=%s with it', (HOST) => {
    expect(mistakesOf({ HOST })).toEqual({});
  });

  it('refuse to show metrics elsewhere with a generated secret', () => {
    expect(Object.keys(mistakesOf({ METRICS_HOST: '0.0.0.0', METRICS_PORT: '9464' }))).toEqual(['METRICS_HOST']);
    expect(mistakesOf({ METRICS_HOST: '0.0.0.0' })).toEqual({});
    expect(mistakesOf({ METRICS_HOST: '0.0.0.0', METRICS_PORT: '9464' }, { serve: false })).toEqual({});
    expect(mistakesOf({ METRICS_HOST: '0.0.0.0', METRICS_PORT: '9464', AUTH_JWT_SECRET: 's'.repeat(32) })).toEqual({});
  });

  it('require different ports for the server and the metrics, unless both are 0', () => {
    expect(Object.keys(mistakesOf({ PORT: '9464', METRICS_PORT: '9464' }))).toEqual(['METRICS_PORT']);
    expect(mistakesOf({ PORT: '0', METRICS_PORT: '0' })).toEqual({});
  });

  it('require PUBLIC_URL when HOST has a zone, which no URL can hold', () => {
    const env = { HOST: 'fe80::1%eth0', AUTH_JWT_SECRET: 's'.repeat(32) };
    expect(Object.keys(mistakesOf(env))).toEqual(['PUBLIC_URL']);
    expect(parse({ ...env, PUBLIC_URL: 'https://files.example.com' }).server.host).toBe('fe80::1%eth0');
    expect(mistakesOf({ METRICS_HOST: 'fe80::1%eth0' })).toEqual({});
  });

  it('count the secret in bytes', () => {
    expect(mistakesOf({ AUTH_JWT_SECRET: 'é'.repeat(16) })).toEqual({});
    expect(Object.keys(mistakesOf({ AUTH_JWT_SECRET: 'é'.repeat(15) }))).toEqual(['AUTH_JWT_SECRET']);
  });

  it('hand out a URL that somebody can call', () => {
    const env = { AUTH_JWT_SECRET: 's'.repeat(32), PORT: '80' };
    for (const HOST of ['0.0.0.0', '::', '[::]']) expect(parse({ ...env, HOST }).server.publicUrl).toBe('http://localhost:80');
    expect(parse({ ...env, HOST: 'files.example.com' }).server.publicUrl).toBe('http://files.example.com:80');
  });
});

describe('warnings', () => {
  const local = { STORAGE_BACKEND: 'local' };
  it.each([
    [{ AUTH_JWT_SECRET: `${'x'.repeat(40)}\n` }, /^AUTH_JWT_SECRET ends with a line end/],
    [{ AUTH_JWT_SECRET: `"${'x'.repeat(40)}"` }, /^AUTH_JWT_SECRET has quotes around it, which/],
    [{ ...local, STORAGE_S3_ACCESS_KEY: "'a'", STORAGE_S3_SECRET_KEY: 'b' }, /^STORAGE_S3_ACCESS_KEY has quotes around it, which/],
    [{ ...local, STORAGE_S3_ACCESS_KEY: 'a', STORAGE_S3_SECRET_KEY: '"b"\n' }, /^STORAGE_S3_SECRET_KEY has quotes around it, which/],
    [{ STORAGE_RETRY_MODE: 'legacy' }, /legacy is taken as standard/],
    [{ STORAGE_S3_VERIFY_SSL: 'false' }, /accepts any certificate/],
    [{ STORAGE_PRESIGN_EXPIRES: '9999999' }, /clamped to 604800/],
    [{ AUTH_JWKS_URL: 'http://id.example.com' }, /http:\/\//],
    [{ STORAGE_BACKEND: '@acme/x' }, /STORAGE_BUCKET is not set/],
    [{ STORAGE_S3_ENDPOINT: 'http://127.0.0.1:9000' }, /^STORAGE_BACKEND is not set: objects are kept on the local disk/],
    [{ STORAGE_S3_ACCESS_KEY: 'a', STORAGE_S3_SECRET_KEY: 'b' }, /^STORAGE_BACKEND is not set/],
    [{ STORAGE_BUKET: 'x' }, /^STORAGE_BUKET .*did you mean STORAGE_BUCKET\?$/],
    [{ AUTH_SECRET_OF_SOMETHING_ELSE: 'x' }, /^AUTH_SECRET_OF_SOMETHING_ELSE is no variable of Coffer$/],
    [{ COFFER_DATADIR: 'x' }, /did you mean COFFER_DATA_DIR\?/],
    [{ STORAGE_S3_SECRET_KEY_ID: 'x' }, /did you mean STORAGE_S3_SECRET_KEY\?/],
  ])('%j', (env, warning) => {
    const { warnings } = parse(env);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(warning);
  });

  it.each([
    { AUTH_JWT_SECRET: 'x'.repeat(40) },
    { AUTH_JWT_SECRET: `${'x'.repeat(40)}\n${'x'.repeat(40)}` },
    { AUTH_JWKS_URL: 'https://id.example.com/keys' },
    { AUTH_JWKS_URL: 'http://localhost:9000/keys' },
    { AUTH_JWKS_URL: 'http://127.0.0.1/keys' },
    { AUTH_JWKS_URL: 'http://[::1]/keys' },
    { STORAGE_BUKET: '' },
    { STORAGE_PRESIGN_EXPIRES: '604800' },
    { STORAGE_BACKEND: 's3', STORAGE_BUCKET: 'x-y' },
    { STORAGE_BACKEND: 's3', STORAGE_ENABLE_MULTI_TENANCY: 'true' },
    { STORAGE_BACKEND: 's3', STORAGE_ENABLED: 'false' },
    { ...local, STORAGE_S3_ENDPOINT: 'http://127.0.0.1:9000' },
  ])('are not given for %j', (env) => {
    expect(parse(env).warnings).toEqual([]);
  });

  it('come with a usable value', () => {
    expect(parse({ STORAGE_RETRY_MODE: 'legacy' }).storage.retryMode).toBe('standard');
    expect(parse({ STORAGE_PRESIGN_EXPIRES: '9999999' }).storage.presignExpires).toBe(604_800);
  });

  it("leave other programs' variables alone", () => {
    expect(parse({ PATH: '/bin', DATABASE: 'x', S3_BUCKET: 'x', COFFER_TOKEN: 'x', COFFER_TEST_POSTGRES_URL: 'x' }).warnings).toEqual([]);
  });

  it('leave out the variables that Kubernetes sets for services, but not lookalikes', () => {
    const service = {
      COFFER_SERVICE_HOST: '10.0.0.1',
      COFFER_SERVICE_PORT: '8080',
      COFFER_SERVICE_PORT_HTTP: '8080',
      COFFER_PORT: 'tcp://10.0.0.1:8080',
      COFFER_PORT_8080_TCP: 'tcp://10.0.0.1:8080',
      COFFER_PORT_8080_TCP_ADDR: '10.0.0.1',
    };
    expect(parseConfig(service).warnings).toEqual([]);
    expect(parseConfig({ COFFER_PORT: '8080' }).warnings).toEqual([expect.stringMatching(/^COFFER_PORT is no variable/)]);
  });
});

describe('a third-party backend', () => {
  it.each(['@acme/backend-ceph', 'coffer-ftp', 'acme/backend', './my-backend.mjs', 'file:///srv/backend.mjs'])(
    'may be %s',
    (STORAGE_BACKEND) => {
      expect(parse({ STORAGE_BACKEND, STORAGE_BUCKET: 'acme' }).storage.backend).toBe(STORAGE_BACKEND);
    },
  );

  it('gets the variables that Coffer does not know, and storage classes of its own', () => {
    const config = parse({
      STORAGE_BACKEND: '@acme/x',
      STORAGE_BUCKET: 'acme',
      STORAGE_ACME_POOL: 'hot',
      STORAGE_DEFAULT_STORAGE_CLASS: 'LUKEWARM',
    });
    expect(config.storage.extra).toEqual({ STORAGE_ACME_POOL: 'hot' });
    expect(config.storage.defaultStorageClass).toBe('LUKEWARM');
    expect(config.warnings).toEqual([]);
  });
});
