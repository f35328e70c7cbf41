import { noContext, withoutTabs } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';

import { assertWanted, labelled } from './call-context.ts';
import {
  assertFields,
  bytesProblem,
  checksumProblem,
  contentTypeProblem,
  filenameProblem,
  flagProblem,
  metadataProblem,
  ownerProblem,
  secondsProblem,
} from './field-checks.ts';
import type { FileParts } from './file-parts.ts';
import type { PresignedFileUpload, PresignedUploadRequest } from './file-requests.ts';
import { reserve } from './reservation.ts';
import { bucketForFile, inCurrentBucket } from './tenant-bucket.ts';
import type { FileBucket } from './tenant-bucket.ts';

/** See `FileService.createPresignedUpload`. Runs one statement. */
export async function presignUpload(
  parts: FileParts,
  request: PresignedUploadRequest,
  context: CallContext = noContext,
): Promise<PresignedFileUpload> {
  const { storage } = parts;
  const { filename, sizeBytes, ownerId, sha256, isPublic = false, metadata, tenantContext: tenant } = request;
  assertFields({
    filename: filenameProblem(filename),
    content_type: contentTypeProblem(request.contentType),
    size_bytes: bytesProblem(sizeBytes),
    owner_id: ownerProblem(ownerId),
    is_public: flagProblem(isPublic),
    sha256: checksumProblem(sha256, 64),
    metadata: metadataProblem(metadata),
    expires_in: secondsProblem(request.expiresIn),
  });
  const contentType = withoutTabs(request.contentType);
  assertWanted(context);
  const ctx = labelled(context, tenant);
  const into = async ({ bucket, onRecord }: FileBucket): Promise<PresignedFileUpload | undefined> => {
    await storage.requireBucket(bucket, ctx); // a form for a missing bucket would fail only when it is sent
    const id = parts.newId();
    const key = `incoming/${id}`;
    const expiresIn = request.expiresIn ?? parts.presignExpires;
    // Signed before the row is written, since only the signer knows how long the URL is valid. It is returned only once the row exists.
    const upload = await storage.getPresignedUploadUrl({ bucket, key, contentType, size: sizeBytes, acl: 'private', expiresIn }, ctx);
    const reservation = await reserve(
      parts,
      {
        id,
        ownerId,
        filename,
        contentType,
        sizeBytes,
        bucket,
        storageKey: key,
        uploadKey: key,
        isPublic,
        sha256: sha256 ?? null,
        metadata: JSON.stringify(metadata ?? {}),
        expiresIn: upload.expiresIn,
      },
      { tenant, bytes: sizeBytes, least: sizeBytes, onRecord, signal: ctx.signal },
    );
    return (
      reservation && {
        fileId: id,
        method: upload.method,
        uploadUrl: upload.url,
        uploadFields: upload.fields,
        uploadHeaders: upload.headers,
        expiresIn: upload.expiresIn,
      }
    );
  };
  return inCurrentBucket(parts, { tenant, first: await bucketForFile(parts, tenant, ctx) }, into, ctx);
}
