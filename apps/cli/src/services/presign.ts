import type { PresignedUpload } from '@coffer/storage-core';

import type { Session } from './open-session.ts';

export interface PresignRequest {
  readonly key: string;
  /** For uploading instead of downloading. */
  readonly put: boolean;
  /** Seconds. Default STORAGE_PRESIGN_EXPIRES. */
  readonly expires?: number | undefined;
  /** The only content type that the upload may have. */
  readonly contentType?: string | undefined;
  /** The only size, in bytes, that the upload may have. */
  readonly size?: number | undefined;
}

/** A request for one object that works without credentials until it expires. */
export type Presigned = Omit<PresignedUpload, 'method'> & {
  readonly method: 'GET' | 'PUT' | 'POST';
  readonly bucket: string;
  readonly key: string;
};

export async function presign(session: Session, request: PresignRequest): Promise<Presigned> {
  const { storage, ctx } = session;
  const { key, put, expires, contentType, size } = request;
  const at = { bucket: await session.bucket(), key };
  if (put) {
    const options = { ...at, method: 'PUT' as const, expiresIn: expires, size, ...(contentType && { contentType }) };
    return { ...at, ...(await storage.getPresignedUploadUrl(options, ctx)) };
  }
  const { url, expiresIn } = await storage.getPresignedDownloadUrl({ ...at, expiresIn: expires }, ctx);
  return { ...at, method: 'GET', url, headers: {}, fields: {}, expiresIn };
}
