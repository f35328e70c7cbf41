import type { Database, FileService, TenantRepository, TenantService } from '@coffer/files-db';
import { getStorageService, setStorageService } from '@coffer/storage-core';
import { bucketNameFor } from '@coffer/tenancy';

import type { OpenBackend } from './backends.ts';
import type { Config } from './config.ts';
import { assembleStorage, openBackend, reservedBy, signingSecret } from './create-storage.ts';
import type { StorageOptions, StorageRuntime } from './create-storage.ts';
import { openDatabase } from './open-database.ts';
import type { OpenDatabase, OpenDatabaseOptions } from './open-database.ts';

export type RuntimeOptions = StorageOptions & OpenDatabaseOptions;

/** The whole product, wired. */
export interface Runtime extends StorageRuntime {
  readonly database: Database;
  readonly tenants: TenantRepository;
  readonly tenantService: TenantService;
  readonly files: FileService;
  /** HS256 key that Coffer made itself; undefined when the configuration has any key. */
  readonly generatedSecret?: Uint8Array;
  /** Releases everything in reverse order, PostgreSQL last, within a minute. Idempotent. */
  readonly close: () => Promise<void>;
}

const stepMs = 40_000;

/**
 * Starts what the configuration describes, and makes its storage what `getStorageService()` answers with.
 * @throws ConfigError, StartupError; nothing is left running then
 */
export async function createRuntime(config: Config, options: RuntimeOptions = {}): Promise<Runtime> {
  const [opened, open, { FileService, TenantRepository, TenantService }, generatedSecret] = await allOrNone(
    openBackend(config, options),
    openDatabase(config, options),
    import('@coffer/files-db'),
    hasKey(config) ? undefined : signingSecret(config),
  );
  const { database } = open;
  const { bucketNamingPattern } = config.storage;
  const reservedBuckets = reservedBy(config);
  const tenants = new TenantRepository({
    database,
    bucketNameFor: (tenant) => bucketNameFor(bucketNamingPattern, tenant, reservedBuckets),
    reservedBuckets,
  });
  const assembled = await assembleStorage(config, opened, options, (tenant) => tenants.bucketFor(tenant));
  const { storage } = assembled;
  setStorageService(storage);

  const close = async (): Promise<void> => {
    if (isCurrent(assembled)) setStorageService(undefined);
    const failures: unknown[] = [];
    for (const step of [() => storage.shutdown(), () => open.close()])
      await within(stepMs, step()).catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  };
  let closing: Promise<void> | undefined;
  return {
    ...assembled,
    database,
    tenants,
    tenantService: new TenantService({ tenants, storage, database }),
    files: new FileService({ database, storage, presignExpires: config.storage.presignExpires }),
    ...(generatedSecret !== undefined && { generatedSecret }),
    close: () => (closing ??= close()),
  };
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

/** Waits for all, started together. When one fails, the backend and the database that did open are closed. */
async function allOrNone<M, S>(
  backend: Promise<OpenBackend>,
  database: Promise<OpenDatabase>,
  module: Promise<M>,
  secret: Promise<S> | undefined,
): Promise<[OpenBackend, OpenDatabase, M, S | undefined]> {
  try {
    return await Promise.all([backend, database, module, secret]);
  } catch (error) {
    const closed = await Promise.allSettled([backend.then((opened) => opened.backend.close()), database.then((open) => open.close())]);
    // A mistake in the configuration says more than what it made fail elsewhere.
    const reasons = [error, ...closed.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []))];
    throw reasons.find((reason) => reason instanceof Error && reason.name === 'ConfigError') ?? error;
  }
}

async function within(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`Not closed within ${ms / 1000} s.`)), ms);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
