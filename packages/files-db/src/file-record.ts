/** What a file can be: `pending` until all of it is there, then `available` or `failed`, in the end `deleted`. */
export const fileStatuses = ['pending', 'available', 'failed', 'deleted'] as const;

/** See `fileStatuses`. */
export type FileStatus = (typeof fileStatuses)[number];

/** What is known about a tracked file. The API renders it in snake_case. */
export interface FileRecord {
  /** UUID, version 7: ids of later files are greater. */
  readonly id: string;
  readonly filename: string;
  /** The one that the first bytes show, where that is another than was declared. */
  readonly contentType: string;
  /** Size in bytes; while the file is pending, the announced one, or 0 when none was. */
  readonly sizeBytes: number;
  readonly bucket: string;
  /** Made by Coffer, never from the filename. */
  readonly storageKey: string;
  readonly ownerId: string;
  /** null: the file belongs to no tenant. */
  readonly tenantUuid: string | null;
  /** Whether anybody may read it, without a token. */
  readonly isPublic: boolean;
  readonly status: FileStatus;
  /** Bare; null until the file is available. */
  readonly etag: string | null;
  /** Lower-case hex, where it was declared or the provider knows it. */
  readonly sha256: string | null;
  /** The caller's own: a JSON object. */
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** A row as `recordColumns` selects it. */
export interface FileRow {
  readonly id: string;
  readonly filename: string;
  readonly content_type: string;
  readonly size_bytes: string;
  readonly bucket: string;
  readonly storage_key: string;
  readonly owner_id: string;
  readonly tenant_uuid: string | null;
  readonly is_public: boolean;
  readonly status: FileStatus;
  readonly etag: string | null;
  readonly sha256: string | null;
  readonly metadata: string;
  readonly created_at: string;
  readonly updated_at: string;
}

// Times as milliseconds and JSON as text: how a driver gives either depends on its settings, and on drizzle. `date_part` is a
// double, which holds milliseconds exactly; `extract` is a numeric, which costs most of reading a row.
export const recordColumns = `id, filename, content_type, size_bytes, bucket, storage_key, owner_id, tenant_uuid, is_public, status,
  etag, sha256, metadata::text as metadata, (date_part('epoch', created_at) * 1000)::int8 as created_at,
  (date_part('epoch', updated_at) * 1000)::int8 as updated_at`;

/** The only place that turns a row into a record. */
export function fileRecordOf(row: FileRow): FileRecord {
  return {
    id: row.id,
    filename: row.filename,
    contentType: row.content_type,
    sizeBytes: Number(row.size_bytes),
    bucket: row.bucket,
    storageKey: row.storage_key,
    ownerId: row.owner_id,
    tenantUuid: row.tenant_uuid,
    isPublic: row.is_public,
    status: row.status,
    etag: row.etag,
    sha256: row.sha256,
    metadata: JSON.parse(row.metadata) as Record<string, unknown>,
    createdAt: new Date(Number(row.created_at)),
    updatedAt: new Date(Number(row.updated_at)),
  };
}
