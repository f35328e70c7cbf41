import type { BodyInput, CannedAcl, GetResult, ObjectInfo, StorageService, TenantContext } from '@coffer/storage-core';

import type { Database, DrizzleDatabase } from './database/database.ts';
import type { FileAccess } from './file-access.ts';
import type { FileRecord, FileStatus } from './file-record.ts';
import type { TenantRepository } from './tenants/repository.ts';

/** Dependencies and settings of a FileService. */
export interface FileServiceOptions {
  /** A drizzle database over postgres.js; required unless `database` is given. Only its client is used, so any copy of drizzle will do. */
  readonly db?: Pick<DrizzleDatabase, '$client'>;
  /** Instead of `db`: the result of `connectDatabase`. */
  readonly database?: Database;
  readonly storage: StorageService;
  /**
   * Where `storage` gets the buckets of tenants from. With it, a file is stored only in a bucket that is the tenant's when its space is
   * reserved: what `storage` and `tenants` remember may be out of date if another process has deleted the bucket meanwhile.
   */
  readonly tenants?: Pick<TenantRepository, 'forget'>;
  /** Lifetime of presigned URLs in seconds, unless a call sets its own. Default: that of `storage`. */
  readonly presignExpires?: number;
}

/** Fields that replace those of the request once its body has been read; those left out stay as they are. */
export interface LateFields {
  readonly ownerId?: string | undefined;
  readonly isPublic?: boolean | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
}

/** A file to store, with its bytes. */
export interface UploadFileRequest {
  /** Text, bytes, a Blob, a Node stream, a web stream or an async iterable. */
  readonly body: BodyInput;
  /** 1 to 1,024 characters without control characters. Not part of the object's key. */
  readonly filename: string;
  /**
   * The declared type, kept unless the first bytes clearly show another. If missing, the bytes or else the filename decide;
   * `application/octet-stream` gives way to whatever the bytes show.
   */
  readonly contentType?: string | undefined;
  /** 1 to 255 characters without control characters. */
  readonly ownerId: string;
  /** Default false. */
  readonly isPublic?: boolean | undefined;
  /**
   * A JSON object of at most 16 KiB, nested at most 32 levels deep. Dates become strings. Objects whose contents JSON would drop, such as a
   * Map, are invalid_argument.
   */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  /** Default `private`, whatever the default of `storage`: the record decides about access. */
  readonly acl?: CannedAcl | undefined;
  /** The tenant the file belongs to, which determines its bucket and quota. */
  readonly tenantContext?: TenantContext | undefined;
  /** Exact size in bytes of a streamed body, if known. */
  readonly size?: number | undefined;
  /** Likely size in bytes of a streamed body, if the exact size is unknown: this much is reserved. Not a limit. */
  readonly sizeHint?: number | undefined;
  /** Declared checksum, lower-case hex; a body with another one is refused with checksum_mismatch. */
  readonly sha256?: string | undefined;
  /** As `sha256`. */
  readonly md5?: string | undefined;
  /**
   * Called once the body has been read, since form fields may follow the file. If it rejects, or the signal aborts meanwhile, the upload is
   * undone.
   */
  readonly late?: (() => Promise<LateFields>) | undefined;
}

/** A file that a client will send to the provider itself. */
export interface PresignedUploadRequest {
  /** 1 to 1,024 characters without control characters. */
  readonly filename: string;
  /** A media type; an upload of another type is refused. */
  readonly contentType: string;
  /** Exact size in bytes; an upload of another size is refused. */
  readonly sizeBytes: number;
  /** 1 to 255 characters without control characters. */
  readonly ownerId: string;
  /** Default false. */
  readonly isPublic?: boolean | undefined;
  /** Lower-case hex; verified when the upload is completed. */
  readonly sha256?: string | undefined;
  /** A JSON object of at most 16 KiB, nested at most 32 deep. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  /** The tenant the file belongs to, which determines its bucket and quota. */
  readonly tenantContext?: TenantContext | undefined;
  /** Seconds. Default: `presignExpires` of the service, or else that of `storage`. */
  readonly expiresIn?: number | undefined;
}

/** How a client sends the bytes: with POST, a form whose fields come before the part `file`; with PUT, the raw body with the headers. */
export interface PresignedFileUpload {
  /** Pass it to `completeUpload` once the bytes are sent. */
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
  /** 1 to 1,000. Default 100. A page of more than 100 may have fewer files, if they have much metadata. */
  readonly limit?: number | undefined;
  /** `nextCursor` of the previous page. */
  readonly cursor?: string | undefined;
  /** Only files of this owner, among those that `access` may see. */
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

/** Changes to a record; what is left out stays as it is. */
export interface FileChanges {
  /** 1 to 1,024 characters without control characters. */
  readonly filename?: string | undefined;
  readonly isPublic?: boolean | undefined;
  /** Replaces the whole object. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
}

/** A record and its bytes, or the answer that the caller already has them. */
export interface OpenedFile {
  readonly file: FileRecord;
  /** The body of an `object` must be read to its end or destroyed. */
  readonly result: GetResult;
}

/** A record and what the storage knows of its object. */
export interface FileHead {
  readonly file: FileRecord;
  readonly info: ObjectInfo;
}

/** A URL that gives one file to anybody who has it. */
export interface PresignedFileDownload {
  readonly downloadUrl: string;
  /** Seconds, after clamping. */
  readonly expiresIn: number;
}

/** Which rows a sweep takes. */
export interface SweepRequest {
  /**
   * Seconds, at least 0: how long after its expiry a presigned upload is given up, and how long after a delete the row is removed. Default
   * 86,400. A direct upload counts as running for a day after it began, however small this is.
   */
  readonly olderThanSeconds?: number | undefined;
  /** Default: the time of the call, by the database's clock. */
  readonly now?: Date | undefined;
  /** Only counts, and changes nothing. */
  readonly dryRun?: boolean | undefined;
}

/** How many rows a sweep finished, by their former status. */
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
