import { isIP } from 'node:net';
import { resolve } from 'node:path';

import { ConfigError } from './config-error.ts';
import type { ConfigMistake } from './config-error.ts';
import { isOwnBackend, noSuchBackend, readStorage } from './config-storage.ts';
import type { StorageConfig } from './config-storage.ts';
import { EnvReader } from './env-reader.ts';
import type { Env } from './env-reader.ts';
import { isInstalled } from './import-from.ts';
import { keySetProblem } from './key-set.ts';
import {
  baseUrl,
  databaseUrl,
  hostName,
  isQuoted,
  oneOf,
  pathFrom,
  quotesKept,
  resourceUrl,
  secretOf,
  text,
  wholeNumber,
} from './parsers.ts';

/** The levels of pino, from the fewest lines to the most, and `silent`. */
const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
/** Lines of this level and of more important ones are written. */
export type LogLevel = (typeof logLevels)[number];

/** Deep-frozen. It holds secrets: print `redactedConfig` instead. */
export interface Config {
  readonly storage: StorageConfig;
  readonly server: ServerConfig;
  readonly auth: AuthConfig;
  /** The separate metrics listener; none without a port. */
  readonly metrics: { readonly port?: number; readonly host: string };
  /** Without a URL, the embedded PostgreSQL is used. */
  readonly database: { readonly url?: string };
  /** An absolute path. */
  readonly dataDir: string;
  readonly logLevel: LogLevel;
  /** The tenant of this command, as a uuid or slug. */
  readonly tenantId?: string;
  /** What is allowed but probably not intended; whole sentences. */
  readonly warnings: readonly string[];
  /** For every variable that exists, whether the environment sets it. */
  readonly sources: Readonly<Record<string, 'env' | 'default'>>;
}

/** HOST, PORT and PUBLIC_URL. */
export interface ServerConfig {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  /** Base of the URLs that Coffer hands out, without a trailing slash. */
  readonly publicUrl: string;
}

/** The AUTH_ variables: which tokens are accepted. */
export interface AuthConfig {
  /** An HS256 key of at least 32 bytes. */
  readonly secret?: string;
  /** URL of keys for RS256, ES256 and EdDSA. */
  readonly jwksUrl?: string;
  /** Key set file; an absolute path. */
  readonly jwksFile?: string;
  /** Expected `iss` of tokens; not checked when left out. */
  readonly issuer?: string;
  /** Expected `aud` of tokens; not checked when left out. */
  readonly audience?: string;
  /** The claim that holds `tenant_uuid` and `tenant_slug`. */
  readonly tenantClaim: string;
}

/** Settings that do not come from the environment. */
export interface ParseOptions {
  /** False for commands that do not listen: HOST then needs no secret. Default true. */
  readonly serve?: boolean;
  /** Base of relative paths. Default: the working directory. */
  readonly cwd?: string;
}

const port = wholeNumber(0, 65_535);
// Not configuration: shell variables of the examples and of the bootstrap.
const knownElsewhere = /^COFFER_(?:TEST_.*|TOKEN|ADMIN_TOKEN|DEBUG)$/;

/** Whether Kubernetes sets such a variable in each pod because of a service called `coffer`, `storage-…` or `auth-…`. */
function isServiceLink(name: string, variables: Env): boolean {
  const [, service] = /^(.+?)_(?:SERVICE_HOST|SERVICE_PORT|PORT)(?:_|$)/.exec(name) ?? [];
  return service !== undefined && variables[`${service}_SERVICE_HOST`] !== undefined;
}

/**
 * Parses the whole configuration from environment variables. docs/configuration.md lists them.
 * @throws ConfigError with every mistake
 */
export function parseConfig(variables: Env, options: ParseOptions = {}): Config {
  const { serve = true, cwd = process.cwd() } = options;
  const env = new EnvReader(variables);
  const dataDir = env.value('COFFER_DATA_DIR', pathFrom(cwd), resolve(cwd, '.coffer'));
  const storage = readStorage(env, { cwd, dataDir });
  const auth = readAuth(env, { cwd, serve });
  const server = readServer(env, serve);
  const metrics = readMetrics(env, server, serve);
  const url = env.optional('DATABASE_URL', databaseUrl);
  const logLevel = env.value('LOG_LEVEL', oneOf(logLevels), 'info');
  const tenantId = env.optional('TENANT_ID', text);

  const misspelt: ConfigMistake[] = [];
  for (const name of env.unread(['STORAGE_', 'AUTH_', 'COFFER_'])) {
    if (name in storage.extra || knownElsewhere.test(name) || isServiceLink(name, variables)) continue;
    const suggestion = env.closest(name);
    const message = `is no variable of Coffer${suggestion === undefined ? '' : `; did you mean ${suggestion}?`}`;
    env.warnings.push(`${name} ${message}`);
    if (suggestion !== undefined) misspelt.push({ variable: name, message });
  }
  if (env.mistakes.length > 0) {
    // Loading the backend reports this too, but only happens once everything else is right.
    const { enabled, backend } = storage;
    if (enabled && !isOwnBackend(backend) && !isInstalled(cwd, backend)) env.mistake('STORAGE_BACKEND', noSuchBackend);
    // A variable may be missing because it is misspelt.
    throw new ConfigError([...env.mistakes, ...misspelt]);
  }
  return deepFreeze({
    storage,
    server,
    auth,
    metrics,
    database: { ...(url !== undefined && { url }) },
    dataDir,
    logLevel,
    ...(tenantId !== undefined && { tenantId }),
    warnings: env.warnings,
    sources: env.sources,
  });
}

function readAuth(env: EnvReader, { cwd, serve }: { readonly cwd: string; readonly serve: boolean }): AuthConfig {
  const secret = env.optional('AUTH_JWT_SECRET', secretOf(32));
  if (secret !== undefined && /[\r\n]$/.test(secret)) {
    env.warnings.push('AUTH_JWT_SECRET ends with a line end, which is taken as a part of it.');
  }
  if (secret !== undefined && isQuoted(secret)) env.warnings.push(quotesKept('AUTH_JWT_SECRET'));
  const jwksUrl = env.optional('AUTH_JWKS_URL', resourceUrl);
  if (jwksUrl?.startsWith('http:') === true && !isLoopback(new URL(jwksUrl).hostname)) {
    env.warnings.push('AUTH_JWKS_URL begins with http://: whoever is between here and there can sign tokens.');
  }
  const jwksFile = env.optional('AUTH_JWKS_FILE', pathFrom(cwd));
  const fileProblem = serve && jwksFile !== undefined ? keySetProblem(jwksFile) : undefined;
  if (fileProblem !== undefined) env.mistake('AUTH_JWKS_FILE', fileProblem);
  const issuer = env.optional('AUTH_ISSUER', text);
  const audience = env.optional('AUTH_AUDIENCE', text);
  return {
    ...(secret !== undefined && { secret }),
    ...(jwksUrl !== undefined && { jwksUrl }),
    ...(jwksFile !== undefined && { jwksFile }),
    ...(issuer !== undefined && { issuer }),
    ...(audience !== undefined && { audience }),
    tenantClaim: env.value('AUTH_TENANT_CLAIM', text, 'metadata'),
  };
}

function readServer(env: EnvReader, serve: boolean): ServerConfig {
  const host = env.value('HOST', hostName, '127.0.0.1');
  const number = env.value('PORT', port, 8080);
  if (serve && !hasKey(env) && !isLoopback(host)) {
    env.mistake(
      'HOST',
      'must be a loopback address (127.0.0.1, ::1 or localhost) while tokens are signed with a generated secret; set AUTH_JWT_SECRET (at least 32 bytes), AUTH_JWKS_URL or AUTH_JWKS_FILE to listen elsewhere.',
    );
  }
  if (host.includes('%') && !env.isSet('PUBLIC_URL')) env.mistake('PUBLIC_URL', 'is needed: no URL holds the zone in HOST.');
  return { host, port: number, publicUrl: env.value('PUBLIC_URL', baseUrl, `http://${reachableHost(host)}:${number}`) };
}

function readMetrics(env: EnvReader, server: ServerConfig, serve: boolean): Config['metrics'] {
  const number = env.optional('METRICS_PORT', port);
  const host = env.value('METRICS_HOST', hostName, '127.0.0.1');
  if (serve && number !== undefined && !hasKey(env) && !isLoopback(host)) {
    env.mistake('METRICS_HOST', 'must be a loopback address while tokens are signed with a generated secret: metrics name tenants.');
  }
  if (number !== undefined && number !== 0 && number === server.port) {
    env.mistake('METRICS_PORT', 'must be another port than PORT: on that one, metrics are at /metrics.');
  }
  return { ...(number !== undefined && { port: number }), host };
}

function hasKey(env: EnvReader): boolean {
  return ['AUTH_JWT_SECRET', 'AUTH_JWKS_URL', 'AUTH_JWKS_FILE'].some((name) => env.isSet(name));
}

function isLoopback(host: string): boolean {
  const name = host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  if (isIP(name) === 4) return name.startsWith('127.');
  return name === 'localhost' || name === '::1' || name.startsWith('::ffff:127.');
}

/** A host as written in a URL. For "every address", the one under which this machine reaches itself. */
function reachableHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost';
  return isIP(host) === 6 ? `[${host}]` : host;
}

function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) deepFreeze(part as object);
  return Object.freeze(value);
}
