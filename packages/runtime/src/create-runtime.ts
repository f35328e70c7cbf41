import type { Database, FileService, TenantRepository, TenantService } from '@coffer/files-db';
import { getStorageService, hasCode, noContext, setStorageService } from '@coffer/storage-core';
import type { StorageBackend, StorageService } from '@coffer/storage-core';

import type { OpenBackend } from './backends.ts';
import { closeInOrder } from './close-in-order.ts';
import type { Config } from './config.ts';
import { assembleStorage, openBackend, signingSecret } from './create-storage.ts';
import type { StorageOptions, StorageRuntime } from './create-storage.ts';
import { openDatabase } from './open-database.ts';
import type { OpenDatabase, OpenDatabaseOptions } from './open-database.ts';
import { openTenants } from './open-tenants.ts';

/** Options that accompany a configuration but are not part of it. */
export interface RuntimeOptions extends StorageOptions, OpenDatabaseOptions {
  /** False if nobody sends tokens: no key is made to check them with. */
  readonly checksTokens?: boolean;
}

/** The whole product, wired. */
export interface Runtime extends StorageRuntime {
  readonly database: Database;
  /** The registered tenants, and which buckets are whose. */
  readonly tenants: TenantRepository;
  /** Operations on a tenant's rows and buckets together. */
  readonly tenantService: TenantService;
  readonly files: FileService;
  /** HS256 key that Coffer generated; undefined when the configuration has any key, or tokens are not checked. */
  readonly generatedSecret?: Uint8Array;
  /** Releases everything in reverse order, PostgreSQL last, within a minute. Idempotent. */
  readonly close: () => Promise<void>;
}

const closeMs = 60_000;
/** Connections get 5 s, PostgreSQL gets half a minute. */
const databaseMs = 35_000;

/**
 * Starts what the configuration describes, and makes its storage the one that `getStorageService()` returns.
 * @throws ConfigError, StartupError, the reason of `signal`; nothing is left running then
 */
export async function createRuntime(config: Config, options: RuntimeOptions = {}): Promise<Runtime> {
  options.signal?.throwIfAborted();
  const makesKey = options.checksTokens !== false && !hasKey(config); // before anything starts: it fails for what is no configuration
  const [openedBackend, openedDatabase, modules, secret] = await allOrNone(
    openBackend(config, options),
    openDatabase(config, options),
    import('@coffer/files-db'),
    makesKey ? signingSecret(config) : undefined,
  );
  const closeAll = (): Promise<void> =>
    closeInOrder(
      [{ close: async () => openedBackend.backend.close() }, { close: () => openedDatabase.close(), needsMs: databaseMs }],
      closeMs,
    );
  try {
    return await assemble();
  } catch (error) {
    await closeAll().catch(() => {}); // the error that prevented the start says more
    throw error;
  }

  async function assemble(): Promise<Runtime> {
    const { FileService, TenantService } = modules;
    const { database } = openedDatabase;
    const tenants = await openTenants(config, database, {
      holdsObjects: (bucket) => holdsObjects(openedBackend.backend, storage, bucket),
    });
    const assembled = await assembleStorage(config, openedBackend, options, tenants);
    const { storage } = assembled;
    let closing: Promise<void> | undefined;
    const close = (): Promise<void> => {
      if (closing === undefined && isCurrent(assembled)) setStorageService(undefined);
      return (closing ??= closeAll());
    };
    const runtime: Runtime = {
      ...assembled,
      database,
      tenants,
      tenantService: new TenantService({ tenants, storage, database }),
      files: new FileService({ database, storage, tenants }),
      ...(secret !== undefined && { generatedSecret: secret }),
      close,
      [Symbol.asyncDispose]: close,
    };
    options.signal?.throwIfAborted();
    setStorageService(storage);
    return runtime;
  }
}

/** Asked past `storage`, which would count it as an operation. */
async function holdsObjects(backend: StorageBackend, storage: StorageService, bucket: string): Promise<boolean> {
  try {
    return (await backend.list(bucket, { maxKeys: 1 }, noContext)).objects.length > 0;
  } catch (error) {
    if (!hasCode(error, 'no_such_bucket', 'access_denied')) throw error;
    if (error.code === 'no_such_bucket') storage.forgetBucket(bucket); // another process may have deleted it since it was used here
    return false; // still to be created, or for the provider to refuse
  }
}

function hasKey({ auth }: Config): boolean {
  return auth.secret !== undefined || auth.jwksUrl !== undefined || auth.jwksFile !== undefined;
}

function isCurrent({ storage }: StorageRuntime): boolean {
  try {
    return getStorageService() === storage;
  } catch {
    return false;
  }
}

/** Waits for all of them, started together. If one fails, closes the backend and the database if they did open. */
async function allOrNone<M, S>(
  backend: Promise<OpenBackend>,
  database: Promise<OpenDatabase>,
  module: Promise<M>,
  secret: Promise<S> | undefined,
): Promise<[OpenBackend, OpenDatabase, M, S | undefined]> {
  try {
    return await Promise.all([backend, database, module, secret]);
  } catch (error) {
    const closeResults = await Promise.allSettled([
      backend.then((openedBackend) => openedBackend.backend.close()),
      database.then((openedDatabase) => openedDatabase.close()),
    ]);
    // A configuration mistake says more than the failures it caused elsewhere.
    const reasons = [error, ...closeResults.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []))];
    throw reasons.find((reason) => reason instanceof Error && reason.name === 'ConfigError') ?? error;
  }
}
