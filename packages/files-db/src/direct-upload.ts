import {
  assertContext,
  bodyOf,
  canonicalTenantUuid,
  claimBody,
  discard,
  isStorageError,
  noContext,
  storageError,
} from '@coffer/storage-core';
import type { Body, CallContext, ObjectInfo, TenantContext } from '@coffer/storage-core';

import { labelled, runUntilAborted } from './call-context.ts';
import { forgetFile, leaveToSweep } from './deletion-statements.ts';
import {
  assertFields,
  bytesProblem,
  checksumProblem,
  filenameProblem,
  flagProblem,
  metadataProblem,
  ownerProblem,
} from './field-checks.ts';
import { systemAccess } from './file-access.ts';
import type { FileParts } from './file-parts.ts';
import { fileRecordOf } from './file-record.ts';
import type { FileRecord } from './file-record.ts';
import type { LateFields, UploadFileRequest } from './file-requests.ts';
import { abandonFile, findFile } from './file-statements.ts';
import { removeObject } from './object-removal.ts';
import { reserve, topUp } from './reservation.ts';
import type { Reservation } from './reservation.ts';
import { decideContentType } from './sniff.ts';
import { bucketForFile, inCurrentBucket } from './tenant-bucket.ts';
import { meterBody, openBody } from './upload-body.ts';

/**
 * Bytes reserved for a body of unknown length: at first, and at most in each further step. The doubling in between reserves no more than
 * twice the bytes received, so that parallel uploads do not refuse each other space that none of them needs.
 */
const firstStep = 64 * 1024;
const longestStep = 64 * 1024 * 1024;

/** Milliseconds. */
const removalTimeout = 5000;

/** See `FileService.uploadFile`. Runs two statements: one inserts a pending row and reserves its space, one makes the row available. */
export async function uploadDirectly(parts: FileParts, file: UploadFileRequest, context: CallContext = noContext): Promise<FileRecord> {
  const release = claimBody(file.body);
  try {
    return await uploadClaimed(parts, { file, release }, context);
  } finally {
    release();
  }
}

async function uploadClaimed(
  parts: FileParts,
  { file, release }: { readonly file: UploadFileRequest; readonly release: () => void },
  context: CallContext,
): Promise<FileRecord> {
  const { storage } = parts;
  const { filename, ownerId, tenantContext: tenant, sizeHint, isPublic = false, acl = 'private', sha256, md5 } = file;
  const body = bodyOf(file.body, file.size);
  const given = body.kind === 'buffer' ? body.data.byteLength : body.size; // its memory may go away while it waits
  try {
    assertContext(context);
    const ctx = labelled(context, tenant);
    assertFields({
      filename: filenameProblem(filename),
      owner_id: ownerProblem(ownerId),
      is_public: flagProblem(isPublic),
      metadata: metadataProblem(file.metadata),
      size_hint: sizeHint === undefined ? undefined : bytesProblem(sizeHint),
      sha256: checksumProblem(sha256, 64),
      md5: checksumProblem(md5, 32),
    });
    const first = await bucketForFile(parts, tenant, ctx);
    const id = parts.newId();
    const key = `files/${id}`;
    const opening = openBody(body, ctx.signal);
    opening.catch(() => {}); // awaited below, once there is space
    // A body of unknown length may end within its first bytes.
    const isOfUnknownSize = body.kind === 'stream' && body.size === undefined && sizeHint === undefined;
    const peeked = isOfUnknownSize ? (await opening).body : body;
    const size = peeked !== body && peeked.kind === 'buffer' ? peeked.data.byteLength : given;
    const { bucket, ...reservation } = await inCurrentBucket(
      parts,
      { tenant, first },
      async ({ bucket, onRecord }) => {
        const row = {
          id,
          ownerId,
          filename,
          contentType: 'application/octet-stream', // until its first bytes have been read
          sizeBytes: size ?? 0,
          bucket,
          storageKey: key,
          uploadKey: null,
          isPublic,
          sha256: sha256 ?? null,
          metadata: JSON.stringify(file.metadata ?? {}),
          expiresIn: null,
        };
        const ask = { tenant, bytes: size ?? sizeHint ?? firstStep, least: size ?? 0, onRecord, signal: ctx.signal };
        const reserved = await reserve(parts, row, ask);
        return reserved && { bucket, ...reserved };
      },
      ctx,
    );
    let mayCome = false;
    try {
      const { body: opened, sample } = await opening;
      const contentType = await decideContentType({ declared: file.contentType, filename, sample });
      const limited = await withinQuota(parts, { body: opened, id, tenant, reservation }, ctx);
      if (limited.kind === 'stream' && limited.stream === file.body) release(); // the storage claims it right away
      const info = await storage
        .uploadFile(
          {
            bucket,
            key,
            contentType,
            body: limited.kind === 'buffer' ? limited.data : limited.stream,
            size: limited.kind === 'stream' ? limited.size : size,
            sizeHint,
            acl,
            sha256,
            md5,
          },
          ctx,
        )
        .catch((error: unknown) => {
          // A provider that has received all bytes stores them, even if the client has gone or the answer is lost, or after a removal.
          const mayHaveAll = limited.kind === 'buffer' || limited.stream.readableEnded;
          mayCome = mayHaveAll && (!isStorageError(error) || error.retryable || error.inDoubt === true);
          throw error;
        });
      const record = await settle(parts, { id, tenant, contentType, info, sha256, late: await lateFields(file, ctx) });
      parts.waiters.wake(tenant?.tenantUuid);
      return record;
    } catch (error) {
      const found = await undo(parts, { id, ownerId, bucket, key, tenant, mayCome }, ctx);
      if (found === undefined) throw error;
      if (found !== 'deleted') return found;
      throw isStorageError(error) && error.retryable ? deletedMeanwhile() : error; // the deletion is why the upload failed
    }
  } catch (error) {
    discard(body, error instanceof Error ? error : undefined);
    throw error;
  }
}

/** Limits the body to the bytes reserved for it, and reserves more of the quota as it grows. */
async function withinQuota(
  parts: FileParts,
  upload: {
    readonly body: Body;
    readonly id: string;
    readonly tenant: TenantContext | undefined;
    readonly reservation: Reservation;
  },
  { signal }: CallContext,
): Promise<Body> {
  const { body, id, tenant } = upload;
  const { granted, limited } = upload.reservation;
  if (!limited || tenant === undefined) return body;
  if (body.kind === 'stream' && body.size !== undefined) return body; // exactly this much is reserved, and enforced
  const budget = parts.waiters.budgetFor(canonicalTenantUuid(tenant.tenantUuid));
  let reserved = granted;
  const more = async (needed: number, waiting: AbortSignal | undefined): Promise<number> => {
    const step = body.kind === 'buffer' ? 0 : Math.min(Math.max(reserved, firstStep), longestStep);
    const bytes = await topUp(parts, { id, needed, asked: Math.max(step, needed - reserved), budget, signal: waiting });
    reserved += bytes;
    return bytes;
  };
  if (body.kind === 'stream') {
    return meterBody(body.stream, granted, (needed, closed) =>
      more(needed, signal === undefined ? closed : AbortSignal.any([closed, signal])),
    );
  }
  while (reserved < body.data.byteLength) await more(body.data.byteLength, signal);
  return body;
}

async function lateFields({ late }: UploadFileRequest, ctx: CallContext): Promise<LateFields> {
  if (late === undefined) return {};
  const fields = (await runUntilAborted(async () => late(), ctx)) ?? {};
  assertFields({
    owner_id: fields.ownerId === undefined ? undefined : ownerProblem(fields.ownerId),
    is_public: flagProblem(fields.isPublic),
    metadata: metadataProblem(fields.metadata),
  });
  return fields;
}

async function settle(
  parts: FileParts,
  upload: {
    readonly id: string;
    readonly tenant: TenantContext | undefined;
    readonly contentType: string;
    readonly info: ObjectInfo;
    readonly sha256: string | undefined;
    readonly late: LateFields;
  },
): Promise<FileRecord> {
  const { id, tenant, contentType, info, late } = upload;
  const row = await parts.tenantQueues.settle(tenant?.tenantUuid ?? null, {
    id,
    contentType,
    sizeBytes: info.size,
    etag: info.etag,
    sha256: info.sha256 ?? upload.sha256 ?? null,
    storageKey: null,
    ownerId: late.ownerId ?? null,
    isPublic: late.isPublic ?? null,
    metadata: late.metadata === undefined ? null : JSON.stringify(late.metadata),
  });
  if (row === undefined) throw deletedMeanwhile();
  return fileRecordOf(row);
}

function deletedMeanwhile(): Error {
  return storageError('file_not_found', 'The file was deleted while it was being uploaded.');
}

/**
 * Leaves nothing of a failed upload: turns its row into a tombstone, removes the object, then removes the tombstone unless the object may
 * still arrive. The sweep does what fails here.
 * @returns the record when the file turns out to be available, since its last statement succeeded and only the answer was lost; `deleted`
 * when somebody else has deleted the file
 */
async function undo(
  parts: FileParts,
  file: {
    readonly id: string;
    readonly ownerId: string;
    readonly bucket: string;
    readonly key: string;
    readonly tenant: TenantContext | undefined;
    /** Whether the provider may still store the object. */
    readonly mayCome: boolean;
  },
  ctx: CallContext,
): Promise<FileRecord | 'deleted' | undefined> {
  const { sql, storage } = parts;
  const { id, mayCome } = file;
  let isDeleted = false;
  try {
    const [abandoned] = await abandonFile(sql, { id, mayCome });
    parts.waiters.wake(file.tenant?.tenantUuid);
    if (abandoned === undefined) {
      const [row] = await findFile(sql, { id, ...systemAccess });
      if (row?.status === 'available') return fileRecordOf(row);
      isDeleted = row === undefined;
      if (isDeleted) await leaveToSweep(sql, { ...file, uploadKey: null });
    }
    // In place of the caller's own, who may have left, and must not wait for a storage that does not answer.
    const signal = AbortSignal.timeout(removalTimeout);
    const isGone = await removeObject(storage, file, { ...ctx, signal });
    if (isGone && !mayCome) await forgetFile(sql, { id });
  } catch {
    // The database is unavailable, which is most likely why the upload failed: report that first error.
  }
  return isDeleted ? 'deleted' : undefined;
}
