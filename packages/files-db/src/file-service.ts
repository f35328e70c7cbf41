import { hasCode, noContext, storageError } from '@coffer/storage-core';
import type { CallContext, GetOptions, ObjectAddress } from '@coffer/storage-core';
import { contentDisposition, runsInBrowser } from '@coffer/storage-core/http';

import { assertWanted, runUntilAborted, withoutSignal } from './call-context.ts';
import { completeUpload } from './complete-upload.ts';
import { plainClient } from './database/plain-client.ts';
import { deleteFile, forgetFile, hurrySweep, releaseFormer } from './deletion-statements.ts';
import type { FormerPlace } from './deletion-statements.ts';
import { uploadDirectly } from './direct-upload.ts';
import { assertFields, dispositionProblem, filenameProblem, flagProblem, metadataProblem, secondsProblem } from './field-checks.ts';
import { accessParameters } from './file-access.ts';
import type { FileAccess } from './file-access.ts';
import { FileFinder } from './file-finder.ts';
import { FileLister } from './file-list.ts';
import type { FileParts } from './file-parts.ts';
import { fileRecordOf } from './file-record.ts';
import type { FileRecord, FileRow } from './file-record.ts';
import type {
  FileChanges,
  FileHead,
  FilePage,
  FileServiceOptions,
  FileSweepReport,
  ListFilesRequest,
  OpenedFile,
  PresignedFileDownload,
  PresignedFileUpload,
  PresignedUploadRequest,
  SweepRequest,
  UploadFileRequest,
} from './file-requests.ts';
import { changeFile, findPublicFile } from './file-statements.ts';
import { createIdGenerator, parseId } from './ids.ts';
import { removeObject, removeObjects } from './object-removal.ts';
import { presignUpload } from './presigned-upload.ts';
import { QuotaWaiters } from './quota-waiters.ts';
import { sweepFiles } from './sweep.ts';
import { TenantQueues } from './tenants/tenant-queues.ts';

/** Tracked files: each is a row in PostgreSQL and an object in storage, kept in step. */
export class FileService {
  readonly #parts: FileParts;
  readonly #finder: FileFinder;
  readonly #lister: FileLister;

  /** @throws storage_not_configured without a database or storage, invalid_argument for a client that is not postgres.js or that has a `transform` */
  constructor(options: FileServiceOptions) {
    const sql = options.database?.sql ?? options.db?.$client;
    if (sql === undefined)
      throw storageError(
        'storage_not_configured',
        'A FileService needs `database`, or a `db` that is drizzle over postgres.js and not a transaction.',
      );
    if (typeof options.storage !== 'object' || options.storage === null)
      throw storageError('storage_not_configured', 'A FileService needs `storage`, a StorageService.');
    this.#parts = {
      sql: plainClient(sql),
      storage: options.storage,
      newId: createIdGenerator(),
      presignExpires: options.presignExpires,
      waiters: new QuotaWaiters(),
      tenantQueues: new TenantQueues(sql),
      completing: new Map(),
      tenants: options.tenants,
    };
    this.#finder = new FileFinder(sql);
    this.#lister = new FileLister(sql);
  }

  /**
   * Streams a file into the tenant's bucket. A failed upload leaves nothing behind, except what only the sweep can remove, as when the database
   * or the storage does not answer.
   * @throws validation_failed, quota_exceeded, checksum_mismatch, invalid_argument, tenant_not_found, tenant_mismatch, tenant_conflict,
   * file_not_found when the file is deleted in the meantime, and the errors of the body and the storage
   */
  async uploadFile(file: UploadFileRequest, ctx?: CallContext): Promise<FileRecord> {
    return uploadDirectly(this.#parts, file, ctx);
  }

  /**
   * Creates a form or URL with which anybody who has it can upload exactly this file until it expires.
   * @throws validation_failed, quota_exceeded, payload_too_large for more than the provider signs for, not_supported, no_such_bucket,
   * tenant_not_found, tenant_mismatch, tenant_conflict
   */
  async createPresignedUpload(request: PresignedUploadRequest, ctx?: CallContext): Promise<PresignedFileUpload> {
    return presignUpload(this.#parts, request, ctx);
  }

  /**
   * Verifies what was uploaded and makes it the file, whose bytes are fixed from then on. May be repeated.
   * @throws file_not_found, forbidden, upload_not_found, upload_expired, upload_mismatch, storage_unavailable while it keeps changing
   */
  async completeUpload(id: string, access: FileAccess, ctx?: CallContext): Promise<FileRecord> {
    return completeUpload(this.#parts, requireId(id), access, ctx);
  }

  /** Newest first. @throws validation_failed, tenant_context_required */
  async list(request: ListFilesRequest, ctx?: CallContext): Promise<FilePage> {
    return runUntilAborted(() => this.#lister.list(request), ctx);
  }

  /** @throws file_not_found */
  async get(id: string, access: FileAccess, ctx?: CallContext): Promise<FileRecord> {
    const sought = { id: requireId(id), ...accessParameters(access) };
    return requireRecord(await runUntilAborted(() => this.#finder.find(sought), ctx));
  }

  /** An abort may come too late to stop the change. @throws file_not_found, forbidden, validation_failed */
  async update(id: string, changes: FileChanges, access: FileAccess, ctx?: CallContext): Promise<FileRecord> {
    const { filename, isPublic, metadata } = changes;
    assertFields({
      filename: filename === undefined ? undefined : filenameProblem(filename),
      is_public: flagProblem(isPublic),
      metadata: metadataProblem(metadata),
    });
    const change = {
      id: requireId(id),
      ...accessParameters(access),
      filename: filename ?? null,
      isPublic: isPublic ?? null,
      metadata: metadata === undefined ? null : JSON.stringify(metadata),
    };
    const [row] = await runUntilAborted(() => changeFile(this.#parts.sql, change), ctx);
    return row === undefined ? this.#refuse(id, access, ctx) : fileRecordOf(row);
  }

  /**
   * The file is gone for everybody as soon as its row says so. The sweep removes an object that the provider does not delete now.
   * @throws file_not_found, forbidden
   */
  async delete(id: string, access: FileAccess, ctx: CallContext = noContext): Promise<void> {
    assertWanted(ctx);
    const fileId = requireId(id);
    const { sql, storage } = this.#parts;
    const [formerBucket = null, otherFormerBucket = null] = await this.#sharedBuckets();
    const rows = await deleteFile(sql, { id: fileId, ...accessParameters(access), formerBucket, otherFormerBucket });
    const [file] = rows; // with several former objects, each has a row that repeats the file
    if (file === undefined) return this.#refuse(id, access);
    const movedFrom = { bucket: file.found_in, key: file.storage_key };
    const unseen = file.found_in === file.bucket ? [] : await releaseFormer(sql, movedFrom).catch(() => []);
    for (const row of [...rows, ...unseen]) await this.#removeFormer(row, ctx);
    const keys = new Set([file.storage_key, ...(file.upload_key === null ? [] : [file.upload_key])]);
    const left = await removeObjects(storage, { bucket: file.bucket, keys: [...keys] }, withoutSignal(ctx));
    // A presigned form or a running upload may still bring bytes: the tombstone stays then, and the sweep looks again.
    const isFinal = file.upload_key === null && file.was !== 'pending';
    // If these fail too, the sweep gets to the row a day later.
    if (left.length > 0) await hurrySweep(sql, { id: fileId }).catch(() => {});
    else if (isFinal) await forgetFile(sql, { id: fileId }).catch(() => {});
  }

  /** Where files of tenants may have been stored before tenants had buckets of their own. */
  async #sharedBuckets(): Promise<readonly string[]> {
    const { storage } = this.#parts;
    const chosen = await storage.chooseBucket({}).catch(() => undefined); // none where everything needs a tenant
    return [...new Set([storage.defaultBucket, chosen?.bucket].filter((bucket) => bucket !== undefined))];
  }

  /** Removes the object that a move left behind for URLs already handed out. */
  async #removeFormer(
    { storage_key: key, former_id: id, former_bucket: bucket, former_upload_key }: FormerPlace,
    ctx: CallContext,
  ): Promise<void> {
    if (id === null || bucket === null) return;
    const { sql, storage } = this.#parts;
    const isGone = await removeObject(storage, { bucket, key }, withoutSignal(ctx));
    if (isGone && former_upload_key === null) await forgetFile(sql, { id }).catch(() => {});
  }

  /** @throws file_not_found, precondition_failed, range_not_satisfiable */
  async open(id: string, options: GetOptions, access: FileAccess, ctx?: CallContext): Promise<OpenedFile> {
    return this.#open(() => this.#available(id, access, ctx), options, ctx);
  }

  /** The record and what the storage knows of the object. @throws file_not_found */
  async head(id: string, access: FileAccess, ctx?: CallContext): Promise<FileHead> {
    return this.#head(() => this.#available(id, access, ctx), ctx);
  }

  /** Opens a public file for anybody. @throws file_not_found, precondition_failed, range_not_satisfiable */
  async openPublic(id: string, options: GetOptions = {}, ctx?: CallContext): Promise<OpenedFile> {
    return this.#open(() => this.#public(id, ctx), options, ctx);
  }

  /** @throws file_not_found */
  async headPublic(id: string, ctx?: CallContext): Promise<FileHead> {
    return this.#head(() => this.#public(id, ctx), ctx);
  }

  /** @throws file_not_found, not_supported, validation_failed */
  async presignedDownload(
    id: string,
    options: {
      /** Seconds. Default: `presignExpires` of this service, or else that of `storage`. */
      readonly expiresIn?: number | undefined;
      readonly method?: 'GET' | 'HEAD';
      /** `attachment` makes a browser save what it would show. What it would run is always saved. Default `inline`. */
      readonly disposition?: 'inline' | 'attachment' | undefined;
    },
    access: FileAccess,
    ctx?: CallContext,
  ): Promise<PresignedFileDownload> {
    const { storage, presignExpires } = this.#parts;
    assertFields({ expires_in: secondsProblem(options.expiresIn), disposition: dispositionProblem(options.disposition) });
    const { bucket, storageKey: key, contentType, filename } = await this.#available(id, access, ctx);
    const { url, expiresIn } = await storage.getPresignedDownloadUrl(
      {
        bucket,
        key,
        contentType,
        contentDisposition: contentDisposition(runsInBrowser(contentType) ? 'attachment' : (options.disposition ?? 'inline'), filename),
        expiresIn: options.expiresIn ?? presignExpires,
        method: options.method,
      },
      ctx,
    );
    return { downloadUrl: url, expiresIn };
  }

  /** Gives up uploads that nobody finished and clears what deletes left behind. Several processes may do it at once. */
  async sweep(request?: SweepRequest, ctx?: CallContext): Promise<FileSweepReport> {
    return sweepFiles(this.#parts, request, ctx);
  }

  async #available(id: string, access: FileAccess, ctx: CallContext | undefined): Promise<FileRecord> {
    const file = await this.get(id, access, ctx);
    return file.status === 'available' ? file : notFound();
  }

  async #public(id: string, ctx: CallContext | undefined): Promise<FileRecord> {
    const sought = { id: requireId(id) };
    const [row] = await runUntilAborted(() => findPublicFile(this.#parts.sql, sought), ctx);
    return requireRecord(row);
  }

  async #open(find: FindFile, options: GetOptions, ctx?: CallContext): Promise<OpenedFile> {
    const [file, result] = await whereItIs(find, (at) => this.#parts.storage.openIfChanged(at, options, ctx));
    return { file, result };
  }

  async #head(find: FindFile, ctx?: CallContext): Promise<FileHead> {
    const [file, info] = await whereItIs(find, (at) => this.#parts.storage.getFileInfo(at, ctx));
    return { file, info };
  }

  /** Throws the reason why nothing was changed: the caller sees the file but may not change it, or does not see it. */
  async #refuse(id: string, access: FileAccess, ctx?: CallContext): Promise<never> {
    await this.get(id, access, ctx);
    throw storageError('forbidden', 'The file belongs to somebody else.');
  }
}

function requireId(id: string): string {
  return parseId(id) ?? notFound();
}

function requireRecord(row: FileRow | undefined): FileRecord {
  return row === undefined ? notFound() : fileRecordOf(row);
}

type FindFile = () => Promise<FileRecord>;

/**
 * Reads the object of a file. A move to another bucket may end, and a sweep clear the former place, after the file was found: where there
 * is no object, the file is found once more. Nobody is to learn where its bytes are, or were.
 */
async function whereItIs<T>(find: FindFile, read: (at: ObjectAddress) => Promise<T>): Promise<readonly [FileRecord, T]> {
  for (let missing: { readonly bucket: string; readonly cause: unknown } | undefined; ;) {
    const file = await find();
    const { bucket, storageKey: key } = file;
    if (bucket === missing?.bucket)
      throw storageError('file_not_found', 'The bytes of this file no longer exist.', { cause: missing.cause });
    try {
      return [file, await read({ bucket, key })];
    } catch (cause) {
      if (!hasCode(cause, 'file_not_found', 'no_such_bucket')) throw cause;
      missing = { bucket, cause };
    }
  }
}

function notFound(): never {
  throw storageError('file_not_found', 'There is no such file.');
}
