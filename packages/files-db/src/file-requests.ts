import type { BodyInput, CannedAcl, GetResult, ObjectInfo, StorageService, TenantContext } from '@coffer/storage-core';

import type { Database, DrizzleDatabase } from './database.ts';
import type { FileAccess } from './file-access.ts';
import type { FileRecord, FileStatus } from './file-record.ts';

export interface FileServiceOptions {
  /** A drizzle database over postgres.js, or `database`. */
  readonly db?: DrizzleDatabase;
  readonly database?: Database;
  readonly storage: StorageService;
  /** Seconds a presigned URL lives unless a call says otherwise. Default: that of `storage`. */
  readonly presignExpires?: number;
}

export interface LateFields {
  readonly ownerId?: string | undefined;
  readonly isPublic?: boolean | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
}

export interface UploadFileRequest {
  readonly body: BodyInput;
  readonly filename: string;
  /** As declared; missing or `application/octet-stream`: found out from the bytes. */
  readonly contentType?: string | undefined;
  readonly ownerId: string;
  /** Default false. */
  readonly isPublic?: boolean | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  /** Default `private`, whatever the default of `storage` is: access is what the record says. */
  readonly acl?: CannedAcl | undefined;
  readonly tenantContext?: TenantContext | undefined;
  /** Exact size in bytes of a streamed body, where it is known. */
  readonly size?: number | undefined;
  /** What the size of a streamed body most likely is, in bytes, where it is not known for sure: so much is reserved. No limit. */
  readonly sizeHint?: number | undefined;
  /** Declared checksums, lower-case hex; another body is refused with checksum_mismatch. */
  readonly sha256?: string | undefined;
  readonly md5?: string | undefined;
  /** Asked once the body has been read: form fields may follow the file. What it rejects with undoes the upload. */
  readonly late?: (() => Promise<LateFields>) | undefined;
}

export interface PresignedUploadRequest {
  readonly filename: string;
  readonly contentType: string;
  readonly sizeBytes: number;
  readonly ownerId: string;
  readonly isPublic?: boolean | undefined;
  /** Lower-case hex; verified when the upload is completed. */
  readonly sha256?: string | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  readonly tenantContext?: TenantContext | undefined;
  /** Seconds. */
  readonly expiresIn?: number | undefined;
}

/** How a client sends the bytes: for POST the fields come before the part `file`, for PUT the headers go with the raw body. */
export interface PresignedFileUpload {
  readonly fileId: string;
  readonly method: 'POST' | 'PUT';
  readonly uploadUrl: string;
  readonly uploadFields: Readonly<Record<string, string>>;
  readonly uploadHeaders: Readonly<Record<string, string>>;
  /** Seconds, after clamping. */
  readonly expiresIn: number;
}

export interface ListFilesRequest {
  readonly access: FileAccess;
  /** 1 to 1,000. Default 100. */
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
  readonly ownerId?: string | undefined;
  /** Default `available`. */
  readonly status?: FileStatus | undefined;
}

export interface FilePage {
  /** Newest first. */
  readonly files: readonly FileRecord[];
  readonly nextCursor: string | null;
}

export interface FileChanges {
  readonly filename?: string | undefined;
  readonly isPublic?: boolean | undefined;
  /** Replaces all of it. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
}

export interface OpenedFile {
  readonly file: FileRecord;
  /** The body of an `object` must be read to its end or destroyed. */
  readonly result: GetResult;
}

export interface FileHead {
  readonly file: FileRecord;
  readonly info: ObjectInfo;
}

export interface PresignedFileDownload {
  readonly downloadUrl: string;
  /** Seconds, after clamping. */
  readonly expiresIn: number;
}

export interface SweepRequest {
  /**
   * Seconds after its expiry that a presigned upload is given up, and after a delete that its row goes. Default 86,400. A direct
   * upload counts as running for a day after its beginning, however small this is.
   */
  readonly olderThanSeconds?: number | undefined;
  readonly now?: Date | undefined;
  /** Only count. */
  readonly dryRun?: boolean | undefined;
}

export interface FileSweepReport {
  /** Uploads that nobody finished: their rows, objects and reservations are gone. */
  readonly expired: number;
  /** Failed uploads whose rows are gone. */
  readonly failed: number;
  /** Deleted files whose rows are gone. */
  readonly deleted: number;
  /** Completed presigned uploads whose receiving key was cleared for good. */
  readonly received: number;
  /** Rows whose objects the provider did not delete; the next sweep tries again. */
  readonly retained: number;
}
