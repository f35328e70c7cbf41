import type { BodyInput, CannedAcl, GetResult, ObjectInfo, StorageService, TenantContext } from '@coffer/storage-core';

import type { Database, DrizzleDatabase } from './database.ts';
import type { FileAccess } from './file-access.ts';
import type { FileRecord, FileStatus } from './file-record.ts';

/** What a FileService is made of. */
export interface FileServiceOptions {
  /** A drizzle database over postgres.js, or `database`. Only its client is used, so it may be of any copy of drizzle. */
  readonly db?: Pick<DrizzleDatabase, '$client'>;
  /** Instead of `db`: one that `connectDatabase` made. */
  readonly database?: Database;
  readonly storage: StorageService;
  /** Seconds a presigned URL lives unless a call says otherwise. Default: that of `storage`. */
  readonly presignExpires?: number;
}

/** Fields that replace those of the request once its body has been read; those left out stay. */
export interface LateFields {
  readonly ownerId?: string | undefined;
  readonly isPublic?: boolean | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
}

/** A file to store, with its bytes. */
export interface UploadFileRequest {
  /** Text, bytes, a Blob, a Node stream, a web stream or an async iterable. */
  readonly body: BodyInput;
  /** 1 to 1,024 characters without control characters. It names nothing in storage. */
  readonly filename: string;
  /** As declared; missing or `application/octet-stream`: found out from the bytes. */
  readonly contentType?: string | undefined;
  /** 1 to 255 characters without control characters. */
  readonly ownerId: string;
  /** Default false. */
  readonly isPublic?: boolean | undefined;
  /** A JSON object of at most 16 KiB, nested at most 32 deep; dates are kept as texts. What JSON has no form for, such as a Map, is invalid_argument. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  /** Default `private`, whatever the default of `storage` is: access is what the record says. */
  readonly acl?: CannedAcl | undefined;
  /** Whose file it is; its bucket and quota follow from it. */
  readonly tenantContext?: TenantContext | undefined;
  /** Exact size in bytes of a streamed body, where it is known. */
  readonly size?: number | undefined;
  /** What the size of a streamed body most likely is, in bytes, where it is not known for sure: so much is reserved. No limit. */
  readonly sizeHint?: number | undefined;
  /** Declared checksums, lower-case hex; another body is refused with checksum_mismatch. */
  readonly sha256?: string | undefined;
  /** As `sha256`. */
  readonly md5?: string | undefined;
  /** Asked once the body has been read: form fields may follow the file. What it rejects with undoes the upload. */
  readonly late?: (() => Promise<LateFields>) | undefined;
}

/** A file that a client will send to the provider by itself. */
export interface PresignedUploadRequest {
  /** 1 to 1,024 characters without control characters. */
  readonly filename: string;
  /** A media type; another one is refused. */
  readonly contentType: string;
  /** Exactly; another size is refused. */
  readonly sizeBytes: number;
  /** 1 to 255 characters without control characters. */
  readonly ownerId: string;
  /** Default false. */
  readonly isPublic?: boolean | undefined;
  /** Lower-case hex; verified when the upload is completed. */
  readonly sha256?: string | undefined;
  /** A JSON object of at most 16 KiB, nested at most 32 deep. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  /** Whose file it is; its bucket and quota follow from it. */
  readonly tenantContext?: TenantContext | undefined;
  /** Seconds. */
  readonly expiresIn?: number | undefined;
}

/** How a client sends the bytes: for POST the fields come before the part `file`, for PUT the headers go with the raw body. */
export interface PresignedFileUpload {
  /** For `completeUpload`, once the bytes are sent. */
  readonly fileId: string;
  readonly method: 'POST' | 'PUT';
  readonly uploadUrl: string;
  /** Empty for PUT. */
  readonly uploadFields: Readonly<Record<string, string>>;
  readonly uploadHeaders: Readonly<Record<string, string>>;
  /** Seconds, after clamping. */
  readonly expiresIn: number;
}

/** Which files are listed, page by page. */
export interface ListFilesRequest {
  readonly access: FileAccess;
  /** 1 to 1,000. Default 100. */
  readonly limit?: number | undefined;
  /** `nextCursor` of the page before. */
  readonly cursor?: string | undefined;
  /** Only files of this owner, of those that `access` may see. */
  readonly ownerId?: string | undefined;
  /** Default `available`. */
  readonly status?: FileStatus | undefined;
}

/** One page of files. */
export interface FilePage {
  /** Newest first. */
  readonly files: readonly FileRecord[];
  /** null on the last page. */
  readonly nextCursor: string | null;
}

/** What of a record is changed; what is left out stays. */
export interface FileChanges {
  /** 1 to 1,024 characters without control characters. */
  readonly filename?: string | undefined;
  readonly isPublic?: boolean | undefined;
  /** Replaces all of it. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
}

/** A record and the bytes, or word that the caller has them. */
export interface OpenedFile {
  readonly file: FileRecord;
  /** The body of an `object` must be read to its end or destroyed. */
  readonly result: GetResult;
}

/** A record and what the storage says of the object. */
export interface FileHead {
  readonly file: FileRecord;
  readonly info: ObjectInfo;
}

/** A URL that gives one file to whoever has it. */
export interface PresignedFileDownload {
  readonly downloadUrl: string;
  /** Seconds, after clamping. */
  readonly expiresIn: number;
}

/** What a sweep gives up. */
export interface SweepRequest {
  /**
   * Seconds, at least 0, after its expiry that a presigned upload is given up, and after a delete that its row goes. Default 86,400.
   * A direct upload counts as running for a day after its beginning, however small this is.
   */
  readonly olderThanSeconds?: number | undefined;
  /** Default: the time of the call. */
  readonly now?: Date | undefined;
  /** Only count. */
  readonly dryRun?: boolean | undefined;
}

/** How many rows a sweep saw to, by what they were. */
export interface FileSweepReport {
  /** Uploads that nobody finished: their rows, objects and reservations are gone. */
  readonly expired: number;
  /** Failed uploads whose rows are gone. */
  readonly failed: number;
  /** Deleted files whose rows are gone. */
  readonly deleted: number;
  /** Completed presigned uploads whose receiving key was cleared for good. */
  readonly received: number;
  /** Rows whose objects the provider did not delete, or that another table refers to; the next sweep tries again. */
  readonly retained: number;
}
