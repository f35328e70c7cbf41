import { bodyOf, discard, noContext, sizeMismatch, storageError } from '@coffer/storage-core';
import type { Body, CallContext, ObjectInfo } from '@coffer/storage-core';

import {
  assertFields,
  bytesProblem,
  checksumProblem,
  filenameProblem,
  flagProblem,
  metadataProblem,
  ownerProblem,
} from './field-checks.ts';
import { labelled, unstoppable } from './file-parts.ts';
import type { FileParts } from './file-parts.ts';
import { fileRecordOf } from './file-record.ts';
import type { FileRecord } from './file-record.ts';
import type { LateFields, UploadFileRequest } from './file-requests.ts';
import { abandonFile, findFile, forgetFile, reserveMore, settleFile } from './file-statements.ts';
import { removeObject } from './object-removal.ts';
import { reserve } from './reservation.ts';
import type { Reservation } from './reservation.ts';
import { decideContentType } from './sniff.ts';
import { cutBody, meterBody, openBody, overQuota } from './upload-body.ts';

const MiB = 1024 * 1024;
/** What is reserved for a body of unknown length, at first and whenever it has grown through that. */
const firstStep = 8 * MiB;
const nextStep = 64 * MiB;

/** Seconds until a pending upload that nobody ended counts as given up; the sweep waits for longer. */
const longestUpload = 86_400;

const everything = { anyTenant: true, tenant: null, anyOwner: true, subject: '' };

/** See `FileService.uploadFile`. Two statements: a pending row with its space reserved, then the row made available. */
export async function uploadDirectly(parts: FileParts, file: UploadFileRequest, context: CallContext = noContext): Promise<FileRecord> {
  const { sql, storage } = parts;
  const { filename, ownerId, tenantContext: tenant, sizeLimit, isPublic = false, acl, sha256, md5 } = file;
  const ctx = labelled(context, tenant);
  const body = bodyOf(file.body, file.size);
  try {
    assertFields({
      filename: filenameProblem(filename),
      owner_id: ownerProblem(ownerId),
      is_public: flagProblem(isPublic),
      metadata: metadataProblem(file.metadata),
      size_limit: sizeLimit === undefined ? undefined : bytesProblem(sizeLimit),
      sha256: checksumProblem(sha256, 64),
      md5: checksumProblem(md5, 32),
    });
    const { bucket } = await storage.resolveBucket(tenant === undefined ? {} : { tenant }, ctx);
    const id = parts.newId();
    const key = `files/${id}`;
    const size = body.kind === 'buffer' ? body.data.byteLength : body.size;
    const opening = openBody(body, ctx.signal);
    opening.catch(() => {}); // waited for below, once there is room
    const reservation = await reserve(
      sql,
      {
        id,
        ownerId,
        filename,
        contentType: 'application/octet-stream', // until its bytes have been seen
        sizeBytes: size ?? 0,
        bucket,
        storageKey: key,
        uploadKey: null,
        isPublic,
        sha256: sha256 ?? null,
        metadata: JSON.stringify(file.metadata ?? {}),
        expiresAt: null,
        sweepAt: new Date(Date.now() + longestUpload * 1000).toISOString(),
      },
      { tenant, bytes: size ?? sizeLimit ?? firstStep, least: size ?? 0 },
    );
    try {
      const { body: opened, sample } = await opening;
      const contentType = await decideContentType({ declared: file.contentType, filename, sample });
      const limited = withinQuota(parts, { body: opened, id, reservation, sizeLimit });
      const info = await storage.uploadFile(
        {
          bucket,
          key,
          contentType,
          body: limited.kind === 'buffer' ? limited.data : limited.stream,
          ...(limited.kind === 'stream' && limited.size !== undefined && { size: limited.size }),
          ...(acl !== undefined && { acl }),
          ...(sha256 !== undefined && { sha256 }),
          ...(md5 !== undefined && { md5 }),
        },
        ctx,
      );
      return await settle(parts, { id, contentType, info, sha256, late: await lateFields(file) });
    } catch (error) {
      const kept = await undo(parts, { id, bucket, key }, ctx);
      if (kept !== undefined) return kept;
      throw error;
    }
  } catch (error) {
    discard(body, error instanceof Error ? error : undefined);
    throw error;
  }
}

function withinQuota(
  parts: FileParts,
  upload: { readonly body: Body; readonly id: string; readonly reservation: Reservation; readonly sizeLimit: number | undefined },
): Body {
  const { body, id, sizeLimit } = upload;
  const { granted, limited } = upload.reservation;
  if (body.kind === 'stream' && body.size !== undefined) return body; // just so much is reserved, and held to
  if (sizeLimit !== undefined && !(limited && granted < sizeLimit))
    return cutBody(body, sizeLimit, () => sizeMismatch(sizeLimit + 1, sizeLimit));
  if (!limited) return body;
  if (sizeLimit !== undefined) return cutBody(body, granted, overQuota);
  return meterBody(body, granted, async () => {
    const [more] = await reserveMore(parts.sql, { id, asked: nextStep });
    return more === undefined ? 0 : Number(more.granted_bytes);
  });
}

async function lateFields({ late }: UploadFileRequest): Promise<LateFields> {
  const fields = (await late?.()) ?? {};
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
    readonly contentType: string;
    readonly info: ObjectInfo;
    readonly sha256: string | undefined;
    readonly late: LateFields;
  },
): Promise<FileRecord> {
  const { id, contentType, info, late } = upload;
  const [row] = await settleFile(parts.sql, {
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
  if (row === undefined) throw storageError('file_not_found', 'The file was deleted while it was being uploaded.');
  return fileRecordOf(row);
}

/**
 * Leaves nothing of a failed upload: first the row, as a tombstone, then the object, then the tombstone. What cannot be
 * done now, the sweep does.
 * @returns the record, when the file turns out to have become available: its last statement was done, its answer lost
 */
async function undo(
  parts: FileParts,
  file: { readonly id: string; readonly bucket: string; readonly key: string },
  context: CallContext,
): Promise<FileRecord | undefined> {
  const { sql, storage } = parts;
  const { id } = file;
  const ctx = unstoppable(context);
  try {
    const [abandoned] = await abandonFile(sql, { id });
    if (abandoned === undefined) {
      const [row] = await findFile(sql, { id, ...everything });
      if (row?.status === 'available') return fileRecordOf(row);
    }
    if (await removeObject(storage, file, ctx)) await forgetFile(sql, { id });
  } catch {
    // The database is away, which is most likely why the upload failed: its first error is the one to report.
  }
  return undefined;
}
