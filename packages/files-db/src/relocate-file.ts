import { hasCode, storageError } from '@coffer/storage-core';
import type { CallContext, ObjectAddress, StorageService, TenantContext } from '@coffer/storage-core';
import type { Sql } from 'postgres';

import { labelled, withoutSignal } from './call-context.ts';
import { mayHaveCommitted } from './database/error.ts';
import { systemAccess } from './file-access.ts';
import { findFile } from './file-statements.ts';
import { lowestId } from './ids.ts';
import { hashObject } from './object-hash.ts';
import { removeObject } from './object-removal.ts';
import { abandonCopy, claimDestination, findStrays, switchLocation } from './relocation-statements.ts';
import type { StrayRow } from './relocation-statements.ts';
import { sweepDelay } from './sweep.ts';
import type { TenantRepository } from './tenants/repository.ts';
import { listTenants, tenantOf } from './tenants/rows.ts';
import type { Tenant } from './tenants/tenant.ts';

/** A tracked file that is in no bucket of its tenant. */
export interface StrayFile {
  readonly id: string;
  readonly tenant: TenantContext;
  readonly key: string;
  /** The bucket that holds it. */
  readonly from: string;
  /** The tenant's primary bucket, which may not exist yet. */
  readonly to: string;
  readonly sizeBytes: number;
  /** Bare, without quotes. */
  readonly etag: string;
  /** Lower-case hex; null when unknown. */
  readonly sha256: string | null;
  /** Whether it cannot move before its upload form has expired and a sweep has run. */
  readonly waits: boolean;
}

/** How a file moves to its tenant's bucket. */
export interface RelocateOptions {
  /** Seconds for which the old object stays, for URLs already handed out. */
  readonly keepSeconds: number;
  /** Creates the tenant's bucket when it is missing. */
  readonly provision: boolean;
}

/** `waits`: it cannot move yet; `gone`: it was deleted, or somebody else moved it. */
export type Relocation = 'moved' | 'waits' | 'gone';

interface Parts {
  readonly sql: Sql;
  readonly storage: StorageService;
  readonly tenants: TenantRepository;
}

const pageSize = 1000;
/** Seconds that a copy may take, after which the sweep may remove the copy of a killed process. */
const claimSeconds = 86_400;

/** See `TenantService.strayFiles`. */
export async function* strayFiles(parts: Parts): AsyncGenerator<StrayFile, void, undefined> {
  for (let after = ''; ;) {
    const rows = await listTenants(parts.sql, { after, limit: pageSize });
    for (const row of rows) if (row.state === 'active') yield* straysOf(parts, tenantOf(row));
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageSize) return;
    after = last.tenant_uuid;
  }
}

async function* straysOf({ sql, tenants }: Parts, tenant: Tenant): AsyncGenerator<StrayFile, void, undefined> {
  const { tenantUuid, tenantSlug } = tenant;
  const to = tenants.plannedBucketFor(tenant);
  const buckets = JSON.stringify([...tenant.buckets, to]);
  for (let after = lowestId; ;) {
    const rows = await findStrays(sql, { tenant: tenantUuid, buckets, after, limit: pageSize });
    for (const row of rows) if (row.strays) yield strayOf(row, { tenantUuid, tenantSlug }, to);
    const last = rows.at(-1);
    if (last?.is_last !== true) return;
    after = last.id;
  }
}

/**
 * See `TenantService.relocateFile`. Copies, verifies, and then records the new place in one statement; until then the file is where it was.
 * It may run again after being killed at any point, even in several processes at once: the sweep has a record of what is left behind.
 */
export async function relocateFile(parts: Parts, file: StrayFile, options: RelocateOptions, ctx: CallContext): Promise<Relocation> {
  if (file.waits) return 'waits';
  const { sql, storage, tenants } = parts;
  const { id, key, from, tenant } = file;
  const to = await tenants.bucketFor(tenant, ctx).catch((error: unknown) => {
    if (hasCode(error, 'tenant_mismatch')) return from; // the tenant was deleted since, with its files
    throw error;
  });
  if (to === from) return 'gone';
  const tenantCtx = labelled(ctx, tenant);
  if (options.provision) await storage.ensureBucket(to, {}, tenantCtx, (bucket) => tenants.keeps(bucket));
  const move = { id, key, from, to };
  const [claimed] = await claimDestination(sql, { ...move, seconds: claimSeconds });
  if (claimed === undefined) {
    const [found] = await findFile(sql, { id, ...systemAccess });
    return found?.bucket === from ? 'waits' : 'gone';
  }
  try {
    const copied = await copyVerified(storage, file, to, tenantCtx);
    ctx.signal?.throwIfAborted();
    const sweepIn = options.keepSeconds - sweepDelay;
    if ((await switchLocation(sql, { ...move, claim: claimed.claim, etag: copied, sweepIn })).length > 0) return 'moved';
  } catch (error) {
    const bucket = await withoutCopy(parts, file, to, tenantCtx).catch(() => from);
    if (bucket === to && mayHaveCommitted(error)) return 'moved'; // only the answer was lost
    if (bucket === from || !hasCode(error, 'file_not_found')) throw error;
    return 'gone';
  }
  return (await withoutCopy(parts, file, to, tenantCtx)) === from ? 'waits' : 'gone';
}

/** Called when the copy did not become the file, as far as is known. @returns the bucket that the file is in; undefined if it was deleted */
async function withoutCopy({ sql, storage }: Parts, file: StrayFile, to: string, ctx: CallContext): Promise<string | undefined> {
  const { id, key } = file;
  const [found] = await abandonCopy(sql, { id, key, to, seconds: claimSeconds });
  const bucket = found?.bucket ?? undefined;
  if (bucket === undefined) await removeObject(storage, { bucket: to, key }, withoutSignal(ctx)); // if that fails, the sweep does it
  return bucket;
}

/** @returns the ETag of the copy, which some stores change for objects of several parts. @throws checksum_mismatch */
async function copyVerified(storage: StorageService, file: StrayFile, to: string, ctx: CallContext): Promise<string> {
  const source: ObjectAddress = { bucket: file.from, key: file.key };
  const destination: ObjectAddress = { bucket: to, key: file.key };
  await storage.copyFile({ source, destination }, ctx);
  const { etag, size } = await storage.getFileInfo(destination, ctx);
  if (size !== file.sizeBytes) throw objectChanged();
  if (etag === file.etag || (await hasRecordedBytes(storage, destination, file, ctx))) return etag;
  if (file.sha256 !== null || (await storage.getFileInfo(source, ctx)).etag !== file.etag) throw objectChanged();
  if ((await hashObject(storage, destination, ctx)) !== (await hashObject(storage, source, ctx))) throw objectChanged();
  return etag;
}

/**
 * By the SHA-256 in the record, or else by its ETag where that may be an MD5, as that of an object uploaded in one piece. Another store may
 * give the same bytes another ETag.
 */
async function hasRecordedBytes(
  storage: StorageService,
  at: ObjectAddress,
  { etag, sha256 }: StrayFile,
  ctx: CallContext,
): Promise<boolean> {
  if (sha256 !== null) return (await hashObject(storage, at, ctx)) === sha256;
  return /^[0-9a-f]{32}$/.test(etag) && (await hashObject(storage, at, ctx, 'md5')) === etag;
}

function objectChanged(): Error {
  return storageError('checksum_mismatch', 'The object is not the one that was recorded for the file; the file stays where it is.');
}

function strayOf(row: StrayRow, tenant: TenantContext, to: string): StrayFile {
  return {
    id: row.id,
    tenant,
    key: row.storage_key,
    from: row.bucket,
    to,
    sizeBytes: Number(row.size_bytes),
    etag: row.etag,
    sha256: row.sha256,
    waits: row.unsettled,
  };
}
