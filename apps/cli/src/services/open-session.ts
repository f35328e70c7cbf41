import type { Config, Env, Runtime, StorageRuntime } from '@coffer/runtime';
import type { CallContext, StorageService } from '@coffer/storage-core';

import { delayedAbort } from '../interrupt.ts';
import { bucketChoiceText } from '../render/bucket-choice.ts';
import { assertUnowned, findTenant, isBucketOfTenant, takenAsSlug } from './session-tenant.ts';

export interface SessionOptions {
  readonly signal: AbortSignal;
  /** Called with sentences for the user. */
  readonly note: (text: string) => void;
  /** A bucket named by the caller, which overrides everything else. */
  readonly bucket?: string | undefined;
  /** Whether to note which bucket was chosen, and why. */
  readonly explain?: boolean;
  /** The number of concurrent operations, and of sockets to the provider unless STORAGE_MAX_POOL_CONNECTIONS is set. */
  readonly concurrency?: number;
  /** Whether the command needs the database. true: if there is none, the embedded one is created; `existing`: none is created. */
  readonly database?: boolean | 'existing';
  /** False: no bucket is created, whatever STORAGE_AUTO_PROVISION says. */
  readonly provision?: boolean;
}

/** What a command works on. */
export interface Session {
  readonly config: Config;
  readonly storage: StorageService;
  /** Shows the user a sentence. */
  readonly note: (text: string) => void;
  /** Context for every call. */
  readonly ctx: CallContext & { readonly signal: AbortSignal };
  /** Context for short calls that change something: when the process is asked to end, those under way may finish and be reported. */
  readonly shortCtx: Session['ctx'];
  /** Chooses the bucket of this command, which is created where auto-provisioning is on. */
  bucket(): Promise<string>;
  /** Defined with `database: true`, with `existing` if there is one, and where the bucket depends on registered tenants. */
  readonly runtime?: Runtime;
  close(): Promise<void>;
}

/** The runtime of a session that was opened with `database: true`. */
export function runtimeOf({ runtime }: Session): Runtime {
  if (runtime === undefined) throw new Error('The session has no database.');
  return runtime;
}

/** @throws ConfigError, StartupError, StorageError; then nothing is left open */
export async function openSession(env: Env, options: SessionOptions): Promise<Session> {
  const { signal, note } = options;
  signal.throwIfAborted();
  const { createRuntime, createStorage, hasDatabase, parseConfig } = await import('@coffer/runtime');
  const config = adjustConfig(parseConfig(env, { serve: false }), options);
  // A command that lacks a bucket fails with an error that says so.
  for (const warning of config.warnings) if (!warning.startsWith('STORAGE_BUCKET is not set')) note(`warning: ${warning}`);

  // No database is created just to learn that no tenant is registered.
  const { database = false } = options;
  const needsTenant = database === false && isBucketOfTenant(config, options.bucket);
  const withDatabase = database === true || ((needsTenant || database === 'existing') && (await hasDatabase(config)));
  const opened: StorageRuntime[] = [];
  const close = async (): Promise<void> => {
    for (const each of opened.toReversed()) await each.close();
  };
  try {
    const runtimeOptions = { signal, log: note, resolveFrom: [import.meta.url], checksTokens: false };
    const runtime = withDatabase ? await createRuntime(config, runtimeOptions) : undefined;
    if (runtime !== undefined) opened.push(runtime);
    const registered = needsTenant && runtime !== undefined ? await findTenant(runtime.tenants, config.tenantId) : undefined;
    const tenant = registered ?? takenAsSlug(config.tenantId, needsTenant ? note : undefined);
    // The runtime would register a tenant that it sees for the first time.
    const needsStorageOnly = runtime === undefined || (needsTenant && registered === undefined);
    const storageOnly = needsStorageOnly ? await createStorage(config) : undefined;
    if (storageOnly !== undefined) opened.push(storageOnly);
    const { storage } = storageOnly ?? runtime!;
    const ctx: Session['ctx'] = { signal, ...(tenant !== undefined && { tenant: tenant.tenantSlug }) };
    const shortCtx: Session['ctx'] = { ...ctx, signal: delayedAbort(signal) };
    const chooseBucket = async (): Promise<string> => {
      const chosen = await storage.resolveBucket({ bucket: options.bucket, tenant }, ctx);
      if (needsTenant && registered === undefined && runtime !== undefined) await assertUnowned(runtime.tenants, chosen.bucket);
      if (options.explain === true) note(bucketChoiceText(chosen, config));
      return chosen.bucket;
    };
    return {
      config,
      storage,
      note,
      ctx,
      shortCtx,
      bucket: chooseBucket,
      ...(runtime !== undefined && { runtime }),
      close,
    };
  } catch (error) {
    await close().catch(() => {}); // the error that prevented opening says more
    throw error;
  }
}

/** A command has the process to itself, and can use the memory. */
const partsAtOnce = 8;

function adjustConfig(config: Config, { concurrency = 1, provision = true }: Pick<SessionOptions, 'concurrency' | 'provision'>): Config {
  const { autoProvision, maxPoolConnections } = config.storage;
  // The variable's default suits a server, which shares the provider with other servers.
  const isSet = config.sources['STORAGE_MAX_POOL_CONNECTIONS'] === 'env';
  const sockets = isSet ? maxPoolConnections : Math.max(maxPoolConnections, concurrency);
  const storage = { ...config.storage, autoProvision: autoProvision && provision, maxPoolConnections: sockets, patient: true, partsAtOnce };
  return { ...config, storage };
}
