import type { LocalBackend } from '@coffer/backend-local';
import type { LocalHttpHandler, LocalHttpOptions } from '@coffer/backend-local/http';
import type { TenantRepository } from '@coffer/files-db';
import { observe, StorageService, wrapBackend } from '@coffer/storage-core';
import type { Observer, StorageBackend } from '@coffer/storage-core';
import { reservedBuckets, tenantBucketResolver } from '@coffer/tenancy';
import type { BucketPolicy } from '@coffer/tenancy';

import { loadBackend } from './backends.ts';
import type { OpenBackend } from './backends.ts';
import type { Config } from './config.ts';
import { disabledBackend, disabledResolver } from './disabled-backend.ts';
import { generatedSecret } from './generated-secret.ts';

/** Options that accompany a configuration but are not part of it. */
export interface StorageOptions {
  /** Sees every call to the backend. */
  readonly observer?: Observer;
  /** Answers errors of requests below `/local/`. Default: a short problem+json. */
  readonly onLocalError?: LocalHttpOptions['onError'];
  /** Overrides the configured one: the server's own URL, once it knows its port. */
  readonly publicUrl?: string;
}

/** The storage alone, wired. */
export interface StorageRuntime {
  readonly config: Config;
  readonly storage: StorageService;
  /** With the local backend: serves presigned URLs and public objects below `/local/`; false for any other request. */
  readonly localHttp?: LocalHttpHandler;
  /** Releases the backend's sockets and files. */
  readonly close: () => Promise<void>;
  /** Calls `close` at the end of an `await using` block. */
  readonly [Symbol.asyncDispose]: () => Promise<void>;
}

/**
 * Wires the storage alone, without a database: tenants' buckets then follow from the pattern only, not from what is registered.
 * @throws ConfigError, StartupError; nothing is left open then
 */
export async function createStorage(config: Config, options: StorageOptions = {}): Promise<StorageRuntime> {
  const openedBackend = await openBackend(config, options);
  try {
    return await assembleStorage(config, openedBackend, options);
  } catch (error) {
    await openedBackend.backend.close();
    throw error;
  }
}

/** The configured backend, or with STORAGE_ENABLED=false one that refuses everything. */
export async function openBackend(config: Config, options: StorageOptions): Promise<OpenBackend> {
  if (!config.storage.enabled) return { backend: disabledBackend() };
  return loadBackend(config, { publicUrl: options.publicUrl ?? config.server.publicUrl, secret: () => signingSecret(config) });
}

/** @param tenants the registered tenants and their buckets */
export async function assembleStorage(
  config: Config,
  { backend, local }: OpenBackend,
  options: StorageOptions,
  tenants?: Pick<TenantRepository, 'bucketFor' | 'keeps'>,
): Promise<StorageRuntime> {
  const { storage: settings } = config;
  const storage = new StorageService({
    backend,
    ...(settings.bucket !== undefined && { defaultBucket: settings.bucket }),
    resolveBucket: settings.enabled
      ? tenantBucketResolver(policyOf(config), tenants && ((tenant, ctx) => tenants.bucketFor(tenant, ctx)))
      : disabledResolver,
    autoProvision: settings.autoProvision,
    ...(tenants !== undefined && { keepsBucket: (bucket: string) => tenants.keeps(bucket) }),
    region: settings.region,
    corsOrigins: settings.corsOrigins,
    // What the provider does by default is left to it: some refuse any mention of ACLs.
    ...(settings.defaultAcl !== 'private' && { defaultAcl: settings.defaultAcl }),
    ...(settings.defaultStorageClass !== 'STANDARD' && { defaultStorageClass: settings.defaultStorageClass }),
    presignExpires: settings.presignExpires,
    healthCheckTimeout: settings.healthCheckTimeout,
    ...(options.observer !== undefined && { observer: options.observer }),
  });
  const close = (): Promise<void> => storage.shutdown();
  const runtime = { config, storage, close, [Symbol.asyncDispose]: close };
  if (local === undefined) return runtime;
  const { localHttpHandler } = await import('@coffer/backend-local/http');
  const localHttp = localHttpHandler({
    backend: observedLocal(storage.backend, local, options.observer),
    corsOrigins: settings.corsOrigins,
    ...(options.onLocalError !== undefined && { onError: options.onLocalError }),
  });
  return { ...runtime, localHttp };
}

/** Counts traffic below `/local/` as well, including anonymous reads. */
function observedLocal(backend: StorageBackend, local: LocalBackend, observer: Observer | undefined): LocalBackend {
  if (observer === undefined) return local;
  const anonymous = wrapBackend({ ...backend, ...local.access.anonymous }, observe(observer));
  return { ...backend, access: { ...local.access, anonymous } };
}

function policyOf({ storage }: Config): BucketPolicy {
  return {
    multiTenancy: storage.multiTenancy,
    pattern: storage.bucketNamingPattern,
    sharedBucket: storage.sharedBucket,
    ...(storage.bucket !== undefined && { defaultBucket: storage.bucket }),
    requireTenantContext: storage.requireTenantContext,
  };
}

/** Buckets that cannot belong to a tenant. */
export function reservedBy(config: Config): readonly string[] {
  return reservedBuckets(policyOf(config));
}

/** The signing secret: the configured one, else the data directory's. */
export async function signingSecret(config: Config): Promise<Uint8Array> {
  return config.auth.secret === undefined ? generatedSecret(config.dataDir) : Buffer.from(config.auth.secret);
}
