import { randomBytes } from 'node:crypto';

import { hasCode, noContext, storageError } from '@coffer/storage-core';
import type { CallContext, ObjectAddress, ObjectInfo } from '@coffer/storage-core';

import { assertWanted, withoutSignal } from './call-context.ts';
import { leaveToSweep } from './deletion-statements.ts';
import { accessParameters, mayChange, systemAccess } from './file-access.ts';
import type { FileAccess } from './file-access.ts';
import type { FileParts } from './file-parts.ts';
import { fileRecordOf } from './file-record.ts';
import type { FileRecord, FileRow } from './file-record.ts';
import { beginCompleting, failFile, findFile } from './file-statements.ts';
import type { PendingUpload, SoughtFile } from './file-statements.ts';
import { hashObject } from './object-hash.ts';
import { removeObject } from './object-removal.ts';

const maxAttempts = 5;

/**
 * See `FileService.completeUpload`. Copies the object to a key that no presigned form can write to, and verifies the copy, so that later
 * writes to the receiving key change nothing. Each attempt copies to a key of its own, so that concurrent attempts, of several processes,
 * cannot touch each other's bytes. Once begun, an attempt ignores the caller's abort signal: a large copy may take longer than a proxy
 * waits, and would start over each time.
 */
export async function completeUpload(parts: FileParts, id: string, access: FileAccess, ctx: CallContext = noContext): Promise<FileRecord> {
  assertWanted(ctx);
  const sought = { id, ...accessParameters(access) };
  const earlier = parts.completing.get(id);
  for (let attempt = 1; attempt <= maxAttempts; attempt++) {
    const [pending] = await beginCompleting(parts.sql, sought);
    const record =
      pending === undefined ? await endedUpload(parts, sought, access) : await joinOrTry(parts, pending, earlier, withoutSignal(ctx));
    if (record !== undefined) return record;
  }
  throw storageError('storage_unavailable', 'The upload keeps changing; try again when it has ended.', { retryAfter: 1 });
}

/** The outcome for a file that was not pending; undefined when it turns out to be pending after all. */
async function endedUpload(parts: FileParts, sought: SoughtFile, access: FileAccess): Promise<FileRecord | undefined> {
  const [row] = await findFile(parts.sql, sought);
  if (row === undefined) throw storageError('file_not_found', 'There is no such file.');
  const file = fileRecordOf(row);
  if (!mayChange(file, access)) throw storageError('forbidden', 'The file belongs to somebody else.');
  if (file.status === 'failed') throw storageError('upload_mismatch', 'The upload differs from what was announced.');
  return file.status === 'available' ? file : undefined;
}

/**
 * Calls at once share one attempt: each would copy the whole object, and by repeating a short request one client could keep all connections
 * to the provider busy.
 * @param earlier the attempt that ran when the call came: it may have looked before the bytes arrived, so only its success counts
 */
function joinOrTry(
  parts: FileParts,
  row: PendingUpload,
  earlier: Promise<FileRecord | undefined> | undefined,
  ctx: CallContext,
): Promise<FileRecord | undefined> {
  const { completing } = parts;
  const running = completing.get(row.id);
  if (running !== undefined) return running === earlier ? running.catch(() => undefined) : running;
  const trying = tryToComplete(parts, row, ctx).finally(() => completing.delete(row.id));
  completing.set(row.id, trying);
  return trying;
}

/** One attempt; undefined when something changed in the meantime, which the next attempt will see. */
async function tryToComplete(parts: FileParts, row: PendingUpload, ctx: CallContext): Promise<FileRecord | undefined> {
  const { storage } = parts;
  if (row.upload_key === null) throw storageError('upload_not_found', 'The file is being uploaded directly.');
  const source: ObjectAddress = { bucket: row.bucket, key: row.upload_key };
  const destination: ObjectAddress = { bucket: row.bucket, key: `files/${row.id}/${randomBytes(8).toString('hex')}` };
  const { defaultStorageClass: storageClass } = storage;
  let arrived: ObjectInfo | undefined;
  const onlyIf = (info: ObjectInfo): boolean => {
    arrived = info;
    return !isLate(row, info) && mismatch(row, info) === undefined;
  };
  const request = { source, destination, acl: 'private', storageClass, onlyIf } as const;
  const copy = await storage.copyFile(request, ctx).catch(async (error: unknown) => {
    if (hasCode(error, 'file_not_found', 'no_such_bucket')) return 'absent';
    if (hasCode(error, 'precondition_failed')) return 'refused';
    if (arrived !== undefined) await dropCopy(parts, row, { ...destination, mayCome: true }, ctx); // it may exist despite the error
    throw error;
  });
  if (copy === 'absent') return notUploaded(parts, row);
  if (copy === 'refused') return arrived === undefined ? undefined : refused(parts, row, { source, arrived }, ctx);
  return settle(parts, row, { source, destination, arrived, copy }, ctx);
}

/** Undefined when the file is no longer pending: another attempt was faster. */
async function notUploaded(parts: FileParts, row: PendingUpload): Promise<undefined> {
  const [current] = await findFile(parts.sql, { id: row.id, ...systemAccess });
  if (current?.status !== 'pending') return undefined;
  if (row.has_expired === true) throw storageError('upload_expired', 'Nothing was uploaded before the upload expired.');
  throw storageError('upload_not_found', 'Nothing has been uploaded yet.');
}

/** Undefined when the object matched the announcement but changed before it was copied, or when another attempt was faster. */
async function refused(
  parts: FileParts,
  row: PendingUpload,
  { source, arrived }: { readonly source: ObjectAddress; readonly arrived: ObjectInfo },
  ctx: CallContext,
): Promise<undefined> {
  if (isLate(row, arrived)) return notUploaded(parts, row);
  const problem = mismatch(row, arrived);
  return problem === undefined ? undefined : fail(parts, row, { source, problem }, ctx);
}

/** Makes the copy the file, after checking that it is a copy of what had arrived, or that it matches the announcement itself. */
async function settle(
  parts: FileParts,
  row: PendingUpload,
  made: {
    readonly source: ObjectAddress;
    readonly destination: ObjectAddress;
    readonly arrived: ObjectInfo | undefined;
    readonly copy: ObjectInfo;
  },
  ctx: CallContext,
): Promise<FileRecord | undefined> {
  const { storage } = parts;
  const { source, destination, arrived, copy } = made;
  let problem: string | undefined;
  let settled: FileRow | undefined;
  let isSettling = false;
  try {
    // Some stores ignore the condition of a copy, so the copy may have newer bytes than those checked. MD5 collisions can be made on
    // purpose, so the ETag alone does not tell whose checksum it is.
    const isSame = copy.etag === arrived?.etag && copy.size === arrived.size && copy.sha256 === arrived.sha256;
    const info = isSame ? arrived : await storage.getFileInfo(destination, ctx);
    const sha256 = info.sha256 ?? copy.sha256 ?? (row.sha256 === null ? null : await hashObject(storage, destination, ctx));
    problem = mismatch(row, info) ?? (row.sha256 === null || row.sha256 === sha256 ? undefined : 'another checksum');
    if (problem === undefined) {
      isSettling = true;
      settled = await parts.tenantQueues.settle(row.tenant_uuid, {
        id: row.id,
        sizeBytes: info.size,
        contentType: row.content_type,
        etag: copy.etag,
        sha256,
        storageKey: destination.key,
        ownerId: null,
        isPublic: null,
        metadata: null,
      });
    }
  } catch (error) {
    // The database may still be running the statement and make the copy the file later. If it does not, the sweep removes the copy.
    if (!isSettling) await dropCopy(parts, row, destination, ctx);
    throw error;
  }
  if (settled !== undefined) {
    await removeObject(storage, source, ctx); // if this fails, the sweep does it once the form has expired
    return fileRecordOf(settled);
  }
  await dropCopy(parts, row, destination, ctx);
  return problem === undefined ? undefined : fail(parts, row, { source, problem }, ctx);
}

/** Whether the object arrived after the expiry by the provider's clock; false as long as the upload has not expired by the database's. */
function isLate(row: PendingUpload, { lastModified }: ObjectInfo): boolean {
  return lastModified.getTime() > Number(row.expires_at) && row.has_expired === true;
}

function mismatch(row: PendingUpload, info: ObjectInfo): string | undefined {
  if (info.size !== Number(row.size_bytes)) return `${info.size} bytes instead of ${row.size_bytes}`;
  if (plainType(info.contentType) !== plainType(row.content_type)) return 'another type';
  if (row.sha256 !== null && info.sha256 !== undefined && info.sha256 !== row.sha256) return 'another checksum';
  return undefined;
}

/** Some servers (Adobe's S3Mock) parse types, and store them without spaces and needless quotes, and with the charset last. */
function plainType(contentType: string): string {
  const parts = contentType.toLowerCase().match(/(?:[^;"]|"(?:[^"\\]|\\.)*(?:"|\\?$))+/g) ?? [];
  const [type, ...parameters] = parts.map((part) => part.trim().replace(/="([\w!#$%&'*+.^`|~-]+)"$/, '=$1'));
  return [type, ...parameters.toSorted()].join(';');
}

async function fail(
  parts: FileParts,
  row: PendingUpload,
  found: { readonly source: ObjectAddress; readonly problem: string },
  ctx: CallContext,
): Promise<undefined> {
  const [failed] = await failFile(parts.sql, { id: row.id });
  if (failed === undefined) return undefined;
  await removeObject(parts.storage, found.source, ctx);
  throw storageError('upload_mismatch', `The upload differs from what was announced: it has ${found.problem}.`);
}

/**
 * Removes a copy that does not become the file, and leaves it to the next sweep if one has removed the file's row meanwhile. The file may
 * be this very copy, if the answer to a statement was lost.
 * @param copy `mayCome`: whether the provider may still be making it
 */
async function dropCopy(
  parts: FileParts,
  row: PendingUpload,
  { mayCome = false, ...copy }: ObjectAddress & { readonly mayCome?: boolean },
  ctx: CallContext,
): Promise<void> {
  try {
    const [current] = await findFile(parts.sql, { id: row.id, ...systemAccess });
    if (current?.storage_key === copy.key) return;
    if (current === undefined)
      await leaveToSweep(parts.sql, { id: row.id, ownerId: row.owner_id, ...copy, uploadKey: row.upload_key, mayCome });
    await removeObject(parts.storage, copy, ctx);
  } catch {
    // The database is unavailable; the sweep clears everything below the file's prefix.
  }
}
