import { hkdfSync } from 'node:crypto';
import { join } from 'node:path';

import type { LocalBackend } from '@coffer/backend-local';
import type { S3BackendOptions } from '@coffer/backend-s3';
import type { StorageBackend } from '@coffer/storage-core';

import { ConfigError } from './config-error.ts';
import { isOwnBackend, noSuchBackend } from './config-storage.ts';
import type { OwnBackend, StorageConfig } from './config-storage.ts';
import type { Config } from './config.ts';
import { ensureDataDir } from './data-dir.ts';
import { importFrom } from './import-from.ts';

/** The default export of a third-party backend's module. */
export interface BackendModule {
  /** Required. The `backend` label in metrics and logs is the `name` of what `create` returns. */
  readonly name: string;
  /** Called once per runtime; if it fails, so does the start. */
  create(options: BackendOptions): StorageBackend | Promise<StorageBackend>;
}

/** What a third-party backend is created from. */
export interface BackendOptions {
  /** The parsed STORAGE_ variables; `extra` holds the backend's own. */
  readonly storage: StorageConfig;
  /** An absolute path. */
  readonly dataDir: string;
  /** Base of the URLs that the server answers under. */
  readonly publicUrl: string;
}

/** A backend and, for the local one, what its HTTP handler needs. */
export interface OpenBackend {
  readonly backend: StorageBackend;
  readonly local?: LocalBackend;
}

interface LoadOptions {
  readonly publicUrl: string;
  /** The secret that the key for the local backend's presigned URLs is derived from. */
  readonly secret: () => Promise<Uint8Array>;
}

type Loader = (config: Config, options: LoadOptions) => Promise<OpenBackend>;

const loadLocal: Loader = async (config, { publicUrl, secret }) => {
  await ensureDataDir(config.dataDir);
  const [{ localBackend }, key] = await Promise.all([import('@coffer/backend-local'), secret()]);
  const derived = hkdfSync('sha256', key, '', 'coffer: presigned URLs of the local backend', 32);
  const { localPath, region } = config.storage;
  const local = localBackend({ root: localPath, region, presign: { baseUrl: publicUrl, secret: new Uint8Array(derived) } });
  return { backend: local, local };
};

const loadS3: Loader = async ({ storage, dataDir }) => {
  const { s3Backend } = await import('@coffer/backend-s3');
  return { backend: s3Backend({ ...s3Options(storage), spoolDirectory: join(dataDir, 'spool') }) };
};

/** Each loads its backend only on demand. */
const loaders: Readonly<Record<OwnBackend, Loader>> = { local: loadLocal, s3: loadS3, minio: loadS3 };

/** @throws ConfigError when there is no such backend, or it does not load */
export async function loadBackend(config: Config, options: LoadOptions): Promise<OpenBackend> {
  const { backend } = config.storage;
  return (isOwnBackend(backend) ? loaders[backend] : loadThirdParty)(config, options);
}

export function s3Options(storage: StorageConfig): S3BackendOptions {
  const { backend: name, region, maxPoolConnections, maxRetries, retryMode, timeout, patient = false, partsAtOnce = 4, s3 } = storage;
  const { useSsl: _useSsl, ...connection } = s3; // already part of the endpoint
  return { name, region, maxPoolConnections, maxRetries, retryMode, patient, partsAtOnce, timeout, ...connection };
}

const loadThirdParty: Loader = async (config, { publicUrl }) => {
  const { storage, dataDir } = config;
  const loaded = await importModule(storage.backend);
  const module = defaultOf(loaded) as Partial<BackendModule> | undefined;
  if (typeof module?.name !== 'string' || typeof module.create !== 'function') {
    throw problem('the default export of the module that it names must be { name, create(options) }; see docs/writing-a-backend.md.');
  }
  const backend = (await attempt(() => module.create?.({ storage, dataDir, publicUrl }), 'could not create its backend')) as
    | Partial<StorageBackend>
    | undefined;
  const missing = ['check', 'put', 'get', 'head', 'delete', 'copy', 'list', 'close'].filter(
    (name) => typeof backend?.[name as keyof StorageBackend] !== 'function',
  );
  if (missing.length > 0) throw problem(`what the module that it names creates is not a backend: it lacks ${missing.join(', ')}.`);
  return { backend: backend as StorageBackend };
};

/** Looks from the working directory, where an operator installs it, and then from this package. */
async function importModule(name: string): Promise<Readonly<Record<string, unknown>>> {
  const loaded = await attempt(() => importFrom(process.cwd(), name), 'does not load');
  if (loaded === undefined) throw problem(noSuchBackend);
  return loaded;
}

/** If a compiler has turned the module into CommonJS, Node takes all of its exports as the default export. */
function defaultOf(loaded: Readonly<Record<string, unknown>>): unknown {
  const exported = loaded['default'] as { readonly __esModule?: unknown; readonly default?: unknown } | undefined;
  return exported?.__esModule === true ? exported.default : exported;
}

async function attempt<T>(run: () => T | Promise<T>, what: string): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    throw problem(`the module that it names ${what}: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
}

function problem(message: string, cause?: unknown): ConfigError {
  return new ConfigError([{ variable: 'STORAGE_BACKEND', message }], cause === undefined ? undefined : { cause });
}
