import { Readable } from 'node:stream';

import { testDatabase } from '@coffer/fixtures';
import type { TestDatabaseOptions } from '@coffer/fixtures';
import { memoryBackend, noContext, readAll, StorageService, wrapBackend } from '@coffer/storage-core';
import type { StorageBackend, StorageServiceOptions, TenantContext } from '@coffer/storage-core';

import { connectDatabase, FileService, migrateDatabase, TenantRepository, TenantService } from '../index.ts';
import type { Database, FileAccess, FileRecord } from '../index.ts';

export const defaultBucket = 'test-default';
export const sharedBucket = 'test-shared';

export const acme: TenantContext = { tenantUuid: '1a1a1a1a-1111-4111-8111-aaaaaaaaaaaa', tenantSlug: 'acme' };
export const globex: TenantContext = { tenantUuid: '22222222-2222-4222-8222-222222222222', tenantSlug: 'globex' };

export const admin: FileAccess = { subject: 'root', role: 'admin' };
export const userOf = (tenant: TenantContext | undefined, subject: string): FileAccess => ({
  subject,
  role: 'user',
  tenant: tenant?.tenantUuid,
});

/** A migrated database that nobody else uses. */
async function migratedDatabase(
  server: TestDatabaseOptions['server'] = 'embedded',
): Promise<{ readonly url: string; readonly drop: () => Promise<void> }> {
  return testDatabase({
    server,
    template: {
      name: 'files-db',
      prepare: async (url) => {
        const database = connectDatabase({ url });
        await migrateDatabase(database);
        await database.close();
      },
    },
  });
}

export interface Rig {
  readonly url: string;
  readonly database: Database;
  readonly backend: StorageBackend;
  readonly storage: StorageService;
  readonly files: FileService;
  readonly tenants: TenantRepository;
  readonly tenantService: TenantService;
  /** Runs a query past the services. */
  query<T>(text: string): Promise<readonly T[]>;
  /** Every key of every bucket, as `bucket/key`. */
  keys(): Promise<readonly string[]>;
  /** The tenant's row of `tenant_usage`, after checking that it is the sum of the rows of `files`. */
  usage(tenant: TenantContext): Promise<{ readonly bytes: number; readonly files: number; readonly reserved: number }>;
  close(): Promise<void>;
}

type Services = Pick<Rig, 'database' | 'storage' | 'files' | 'tenants' | 'tenantService'>;

/** Everything of this package on its own database: a bucket per tenant, a default one for files without a tenant. */
export async function openRig(
  options: {
    readonly server?: TestDatabaseOptions['server'];
    readonly backend?: StorageBackend;
    readonly cacheSeconds?: number;
    readonly storage?: Partial<StorageServiceOptions>;
  } = {},
): Promise<Rig> {
  const { backend = memoryBackend() } = options;
  const { url, drop } = await migratedDatabase(options.server);
  const services = servicesOn(url, backend, options);
  const { database, storage } = services;
  const query = async <T>(text: string): Promise<readonly T[]> => (await database.sql.unsafe(text)) as unknown as readonly T[];
  return {
    url,
    backend,
    ...services,
    query,
    async keys() {
      const keys: string[] = [];
      for (const { name: bucket } of await storage.listBuckets())
        for await (const { key } of storage.listFiles({ bucket })) keys.push(`${bucket}/${key}`);
      return keys.toSorted();
    },
    async usage({ tenantUuid }) {
      const [row] = await query<Record<string, string>>(`
        select u.used_bytes, u.used_files, u.reserved_bytes,
          coalesce(sum(f.size_bytes) filter (where f.status = 'available'), 0) as real_bytes,
          count(*) filter (where f.status = 'available') as real_files,
          coalesce(sum(f.reserved_bytes) filter (where f.status = 'pending'), 0) as real_reserved
        from tenant_usage u left join files f on f.tenant_uuid = u.tenant_uuid
        where u.tenant_uuid = '${tenantUuid}' group by u.tenant_uuid`);
      if (row === undefined) throw new Error('The tenant has no row in tenant_usage.');
      const said = { bytes: Number(row['used_bytes']), files: Number(row['used_files']), reserved: Number(row['reserved_bytes']) };
      const real = { bytes: Number(row['real_bytes']), files: Number(row['real_files']), reserved: Number(row['real_reserved']) };
      if (JSON.stringify(said) !== JSON.stringify(real))
        throw new Error(`tenant_usage says ${JSON.stringify(said)}, files ${JSON.stringify(real)}.`);
      return said;
    },
    async close() {
      await database.close();
      await storage.shutdown();
      await drop();
    },
  };
}

/** The services of another process, which shares database and storage with a rig but has its own tenant cache. */
export function processBeside(
  { url, backend }: Rig,
  options: { readonly cacheSeconds?: number } = {},
): Services & { close(): Promise<void> } {
  const services = servicesOn(url, backend, options);
  return { ...services, close: () => services.database.close() };
}

function servicesOn(
  url: string,
  backend: StorageBackend,
  options: { readonly cacheSeconds?: number; readonly storage?: Partial<StorageServiceOptions> } = {},
): Services {
  const database = connectDatabase({ url });
  const tenants = new TenantRepository({
    database,
    bucketNameFor: ({ tenantSlug }) => `${tenantSlug}-uploads`,
    reservedBuckets: [defaultBucket, sharedBucket],
    holdsObjects: async (bucket) => {
      try {
        return (await backend.list(bucket, { maxKeys: 1 }, noContext)).objects.length > 0;
      } catch {
        return false;
      }
    },
    ...(options.cacheSeconds !== undefined && { cacheSeconds: options.cacheSeconds }),
  });
  const storage = new StorageService({
    backend,
    autoProvision: true,
    keepsBucket: (bucket) => tenants.keeps(bucket),
    resolveBucket: async ({ bucket, tenant }) => {
      if (bucket !== undefined) return { bucket, because: 'explicit' };
      if (tenant !== undefined) return { bucket: await tenants.bucketFor(tenant), because: 'tenant_mapping' };
      return { bucket: defaultBucket, because: 'default' };
    },
    ...options.storage,
  });
  return {
    database,
    tenants,
    storage,
    files: new FileService({ database, storage, tenants }),
    tenantService: new TenantService({ tenants, storage, database }),
  };
}

/** `backend` with some of its operations replaced. */
export function variant(backend: StorageBackend, replaced: Partial<StorageBackend>): StorageBackend {
  return { ...wrapBackend(backend), ...replaced };
}

/** `backend` with presigned URLs that no server answers: tests store the bytes themselves, as a form would. */
export function presigning(backend: StorageBackend): StorageBackend {
  const clamp = (expiresIn: number): number => Math.min(expiresIn, 604_800);
  return variant(backend, {
    presign: {
      upload: async (at, options) => ({
        method: 'POST',
        url: 'http://storage.test/',
        fields: { key: at.key },
        headers: {},
        expiresIn: clamp(options.expiresIn),
      }),
      download: async (at, options) => ({
        url: `http://storage.test/${at.key}?${String(new URLSearchParams({ disposition: options.contentDisposition ?? '' }))}`,
        expiresIn: clamp(options.expiresIn),
      }),
    },
  });
}

/** A stream of `chunks`, which may fail at its end. */
export function streamOf(chunks: readonly (string | Uint8Array)[], failure?: Error): Readable {
  return Readable.from(
    (async function* () {
      for (const chunk of chunks) {
        await new Promise((resolve) => setImmediate(resolve));
        yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      }
      if (failure !== undefined) throw failure;
    })(),
    { objectMode: false },
  );
}

/** Uploads text as a file of alice's; `more` overrides the request. */
export async function upload(rig: Rig, text: string, more: Partial<Parameters<FileService['uploadFile']>[0]> = {}): Promise<FileRecord> {
  return rig.files.uploadFile({ body: text, filename: 'note.txt', contentType: 'text/plain', ownerId: 'alice', ...more });
}

export async function bytesOf(rig: Rig, file: FileRecord): Promise<string> {
  const { body } = await rig.storage.openFile({ bucket: file.bucket, key: file.storageKey });
  return (await readAll(body)).toString();
}

/** The code of the error with which a promise rejects; `resolved` if it does not. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'resolved';
  } catch (error) {
    return (error as { readonly code?: string }).code ?? String(error);
  }
}
