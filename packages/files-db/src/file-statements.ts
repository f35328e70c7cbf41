import { inSeconds, statement } from './database/statement.ts';
import { givenUp } from './deletion-statements.ts';
import { changeable, visible, visibleToSought } from './file-access.ts';
import type { AccessParameters } from './file-access.ts';
import { recordColumns } from './file-record.ts';
import type { FileRow } from './file-record.ts';

// A tracked upload runs `reserveFile` and `settleFile`, a presigned upload request `reserveFile`, a download `findFile`. Each is one
// statement, and so one transaction and one round trip; requests that arrive together share them (TenantQueues, FileFinder). A statement
// that moves a file into or out of `pending` or `available` also updates the tenant's usage. It locks the file's row first and the usage
// row second, so that no two of them deadlock.

export interface NewFileRow {
  readonly id: string;
  readonly ownerId: string;
  readonly filename: string;
  readonly contentType: string;
  readonly sizeBytes: number;
  readonly bucket: string;
  readonly storageKey: string;
  readonly uploadKey: string | null;
  readonly isPublic: boolean;
  readonly sha256: string | null;
  /** JSON. */
  readonly metadata: string;
  /** Seconds until it expires; null for a direct upload. */
  readonly expiresIn: number | null;
}

/** Column, parameter, the type that it is sent as, and the value where that is another one. */
const inserted = [
  ['id', 'id', 'uuid'],
  ['owner_id', 'ownerId', 'text'],
  ['filename', 'filename', 'text'],
  ['content_type', 'contentType', 'text'],
  ['size_bytes', 'sizeBytes', 'int8'],
  ['bucket', 'bucket', 'text'],
  ['storage_key', 'storageKey', 'text'],
  ['upload_key', 'uploadKey', 'text'],
  ['is_public', 'isPublic', 'boolean'],
  ['sha256', 'sha256', 'text'],
  ['metadata', 'metadata', 'text', (sent) => `${sent}::jsonb`],
  ['expires_at', 'expiresIn', 'float8', inSeconds],
  ['sweep_at', 'expiresIn', 'float8', (sent) => `coalesce(${inSeconds(sent)}, now())`], // the sweep allows a direct upload a day from now
] as const satisfies readonly (readonly [column: string, parameter: keyof NewFileRow, sent: string, value?: (sent: string) => string])[];
const asSent = (sent: string): string => sent;
const insertedColumns = inserted.map(([column]) => column).join(', ');
const insertedValues = inserted.map(([, name, sent, value = asSent]) => value(`{${name}}::${sent}`)).join(', ');
// The same from JSON, whose keys are the parameter names.
const insertedRecord = [...new Set(inserted.map(([, name, sent]) => `"${name}" ${sent}`))].join(', ');
const insertedOfRecord = inserted.map(([, name, , value = asSent]) => value(`"${name}"`)).join(', ');

// A conditional update rechecks its condition against the newest version of the row that it waited for, and computes from that version:
// this keeps parallel uploads within the quota. `granted_bytes` returns what it computed.
const free = 'quota_bytes - used_bytes - reserved_bytes';
const grant = `granted_bytes = least({asked}::int8, coalesce(${free}, {asked}::int8)),
  reserved_bytes = reserved_bytes + least({asked}::int8, coalesce(${free}, {asked}::int8))`;

export interface Granted {
  readonly granted_bytes: string;
  /** Whether the tenant has a quota. */
  readonly limited: boolean;
}

export interface ReservedFile extends NewFileRow {
  /** Canonical uuid. */
  readonly tenant: string;
  /** Bytes to reserve, or as many of them as are free. */
  readonly asked: number;
  /** Bytes that must be free. */
  readonly least: number;
  /** Whether the bucket must be on record as the tenant's. */
  readonly onRecord: boolean;
}

const isInOwnBucket = `(not {onRecord}::boolean or
    exists (select from tenant_buckets b where b.bucket = {bucket}::text and b.tenant_uuid = {tenant}::text))`;

/**
 * Inserts a pending file and reserves as much of `asked` as the quota has left. No row when that is less than `least`, the tenant is
 * unknown or being deleted, or the bucket is not its own as it has to be.
 */
export const reserveFile = statement<ReservedFile, Granted>(`
  with granted as (
    update tenant_usage set ${grant}
    where tenant_uuid = {tenant}::text and not closed and coalesce(${free} >= {least}::int8, true) and ${isInOwnBucket}
    returning tenant_uuid, granted_bytes, quota_bytes is not null as limited
  ), created as (
    insert into files (tenant_uuid, reserved_bytes, ${insertedColumns}) select tenant_uuid, granted_bytes, ${insertedValues} from granted
  )
  select granted_bytes, limited from granted`);

/**
 * Inserts pending files of one tenant in one bucket, given as JSON, and reserves all that they ask for; `asked` is the sum. No row when
 * the quota has less left, the tenant is unknown or being deleted, or the bucket is not its own as it has to be.
 */
export const reserveFiles = statement<
  Pick<ReservedFile, 'tenant' | 'bucket' | 'onRecord'> & { readonly asked: string; readonly files: string },
  { readonly limited: boolean }
>(`
  with granted as (
    update tenant_usage set reserved_bytes = reserved_bytes + {asked}::int8
    where tenant_uuid = {tenant}::text and not closed and coalesce(${free} >= {asked}::int8, true) and ${isInOwnBucket}
    returning tenant_uuid, quota_bytes is not null as limited
  ), created as (
    insert into files (tenant_uuid, reserved_bytes, ${insertedColumns}) select tenant_uuid, asked, ${insertedOfRecord}
    from granted, json_to_recordset({files}::text::json) as file(asked int8, ${insertedRecord})
  )
  select limited from granted`);

/** Inserts a pending file that belongs to no tenant. */
export const insertFile = statement<NewFileRow, never>(`insert into files (${insertedColumns}) values (${insertedValues})`);

/**
 * Reserves more of the quota for a pending file; no row when nothing is left. Either way, `size_bytes` records how many bytes the file has
 * so far: a file with more than it has reserved is waiting.
 */
export const reserveMore = statement<{ readonly id: string; readonly needed: number; readonly asked: number }, Granted>(`
  with pending as (
    select id, tenant_uuid from files where id = {id}::uuid and status = 'pending' for update
  ), granted as (
    update tenant_usage u set ${grant} from pending
    where u.tenant_uuid = pending.tenant_uuid and coalesce(${free} > 0, true)
    returning granted_bytes, quota_bytes is not null as limited
  ), grown as (
    update files f set reserved_bytes = f.reserved_bytes + coalesce((select granted_bytes from granted), 0), size_bytes = {needed}::int8
    from pending where f.id = pending.id
  )
  select granted_bytes, limited from granted`);

export interface SettledFile {
  readonly id: string;
  readonly sizeBytes: number;
  readonly contentType: string;
  readonly etag: string;
  readonly sha256: string | null;
  /** Null, here and below: unchanged. */
  readonly storageKey: string | null;
  readonly ownerId: string | null;
  readonly isPublic: boolean | null;
  readonly metadata: string | null;
}

/** pending -> available; its reservation becomes usage. No row when the file is not pending any more. */
export const settleFile = statement<SettledFile, FileRow>(`
  with moved as (
    update files set status = 'available', size_bytes = {sizeBytes}::int8, content_type = {contentType}::text, etag = {etag}::text,
      sha256 = {sha256}::text, storage_key = coalesce({storageKey}::text, storage_key), owner_id = coalesce({ownerId}::text, owner_id),
      is_public = coalesce({isPublic}::boolean, is_public), metadata = coalesce({metadata}::text::jsonb, metadata),
      sweep_at = case when upload_key is null then null else sweep_at end, updated_at = now()
    where id = {id}::uuid and status = 'pending'
    returning *
  ), counted as (
    update tenant_usage u set used_bytes = u.used_bytes + moved.size_bytes, used_files = u.used_files + 1,
      reserved_bytes = u.reserved_bytes - moved.reserved_bytes
    from moved where u.tenant_uuid = moved.tenant_uuid
  )
  select ${recordColumns} from moved`);

/**
 * The same for several files of one tenant, given as JSON; a row for each file that was moved. Rows are locked by id, as in mass deletions.
 * Two conditions only steer the planner: a range that includes every size makes it expect one file instead of a hundred, and a status that
 * it cannot see makes it expect many rows. The plan that it makes for an empty table, and keeps while the table grows, then uses the
 * primary key.
 */
export const settleFiles = statement<{ readonly files: string }, FileRow>(`
  with given as materialized (
    select * from json_to_recordset({files}::text::json) as file(id uuid, "sizeBytes" int8, "contentType" text, etag text, sha256 text,
      "storageKey" text, "ownerId" text, "isPublic" boolean, metadata text)
    where ("sizeBytes" between 0 and ${2n ** 63n - 1n}) is not false
  ), locked as (
    select g.* from given g join files f on f.id = g.id where case f.status when 'pending' then true else false end
    order by f.id for update of f
  ), moved as (
    update files f set status = 'available', size_bytes = g."sizeBytes", content_type = g."contentType", etag = g.etag, sha256 = g.sha256,
      storage_key = coalesce(g."storageKey", f.storage_key), owner_id = coalesce(g."ownerId", f.owner_id),
      is_public = coalesce(g."isPublic", f.is_public), metadata = coalesce(g.metadata::jsonb, f.metadata),
      sweep_at = case when f.upload_key is null then null else f.sweep_at end, updated_at = now()
    from locked g where f.id = g.id
    returning f.*
  ), sums as (
    select tenant_uuid, sum(size_bytes)::int8 as bytes, count(*) as files, sum(reserved_bytes)::int8 as reserved from moved group by tenant_uuid
  ), counted as (
    update tenant_usage u set used_bytes = u.used_bytes + sums.bytes, used_files = u.used_files + sums.files,
      reserved_bytes = u.reserved_bytes - sums.reserved
    from sums where u.tenant_uuid = sums.tenant_uuid
  )
  select ${recordColumns} from moved`);

const released = `
  update tenant_usage u set reserved_bytes = u.reserved_bytes - moved.reserved_bytes from moved where u.tenant_uuid = moved.tenant_uuid`;

/** pending -> deleted; releases the reservation, and the object may be removed. No row when the file was not pending. */
export const abandonFile = statement<{ readonly id: string; readonly mayCome: boolean }, { readonly id: string }>(`
  with moved as (
    update files set status = 'deleted', sweep_at = ${givenUp}, updated_at = now() where id = {id}::uuid and status = 'pending' returning *
  ), released as (${released})
  select id from moved`);

/** pending -> failed; releases the reservation. No row when the file was not pending. */
export const failFile = statement<{ readonly id: string }, { readonly id: string }>(`
  with moved as (
    update files set status = 'failed', updated_at = now() where id = {id}::uuid and status = 'pending' returning *
  ), released as (${released})
  select id from moved`);

export type SoughtFile = AccessParameters & { readonly id: string };

/** A file that the caller sees. */
export const findFile = statement<SoughtFile, FileRow>(
  `select ${recordColumns} from files where id = {id}::uuid and status <> 'deleted' and ${visible}`,
);

/**
 * The same for several files, given as JSON: a row for each file found, with its `place` in that list. `offset 0` makes the planner look
 * them up one by one, whatever it expects.
 */
export const findFiles = statement<{ readonly sought: string }, FileRow & { readonly place: number }>(`
  select found.*, sought.place
  from json_to_recordset({sought}::text::json) as sought(place int4, id uuid, "anyTenant" boolean, tenant text, "anyOwner" boolean, subject text)
  cross join lateral (
    select ${recordColumns} from files where files.id = sought.id and status <> 'deleted' and ${visibleToSought} offset 0
  ) as found`);

export const findPublicFile = statement<{ readonly id: string }, FileRow>(
  `select ${recordColumns} from files where id = {id}::uuid and status = 'available' and is_public`,
);

interface FileChange {
  readonly id: string;
  /** Null, here and below: unchanged. */
  readonly filename: string | null;
  readonly isPublic: boolean | null;
  readonly metadata: string | null;
}

export const changeFile = statement<AccessParameters & FileChange, FileRow>(`
  update files set filename = coalesce({filename}::text, filename), is_public = coalesce({isPublic}::boolean, is_public),
    metadata = coalesce({metadata}::text::jsonb, metadata), updated_at = now()
  where id = {id}::uuid and status <> 'deleted' and ${changeable}
  returning ${recordColumns}`);

export type PendingUpload = FileRow & {
  readonly upload_key: string | null;
  /** Milliseconds since the epoch. */
  readonly expires_at: string | null;
  /** By the database's clock. */
  readonly has_expired: boolean | null;
};

/** A pending file that the caller may complete; counts the attempt. */
export const beginCompleting = statement<SoughtFile, PendingUpload>(`
  update files set complete_attempts = least(complete_attempts + 1, 1000) where id = {id}::uuid and status = 'pending' and ${changeable}
  returning ${recordColumns}, upload_key, (extract(epoch from expires_at) * 1000)::int8 as expires_at, expires_at < now() as has_expired`);

interface Quota {
  readonly closed: boolean;
  /** Null, here and below: no quota. Negative when the quota was lowered below what is in use. */
  readonly free_bytes: string | null;
  /** What would be free without reservations. */
  readonly unused_bytes: string | null;
  /** Whether uploads hold reservations that may soon become free in part. */
  readonly contended: boolean;
  /** Whether the bucket is on record as the tenant's. */
  readonly has_bucket: boolean;
}

// Running direct uploads. A presigned upload holds exactly its announced size, for as long as its form lives. All pending files have a
// `sweep_at`: the condition on it leads an index to the few of them.
const holder = `f.status = 'pending' and f.upload_key is null and f.reserved_bytes > 0 and f.sweep_at > now() - interval '1 day'`;

/** Why `reserveFile` found nothing to update. */
export const findQuota = statement<Pick<ReservedFile, 'tenant' | 'bucket'>, Quota>(`
  select closed, ${free} as free_bytes, quota_bytes - used_bytes as unused_bytes,
    exists (select from files f where f.tenant_uuid = u.tenant_uuid and ${holder}) as contended,
    exists (select from tenant_buckets b where b.bucket = {bucket}::text and b.tenant_uuid = u.tenant_uuid) as has_bucket
  from tenant_usage u where tenant_uuid = {tenant}::text`);

type Contention = Pick<Quota, 'free_bytes' | 'unused_bytes'> & {
  /** Whether this upload has to give up: no other one holds anything, or this one does and all others that do are older and wait. */
  readonly gives_up: boolean;
};

/** Why `reserveMore` reserved nothing for a pending file; no row when the file is no longer pending. */
export const findContention = statement<{ readonly id: string }, Contention>(`
  select u.quota_bytes - u.used_bytes - u.reserved_bytes as free_bytes, u.quota_bytes - u.used_bytes as unused_bytes,
    (select count(*) = 0 or own.reserved_bytes > 0 and bool_and(f.size_bytes > f.reserved_bytes and f.id < own.id)
      from files f where f.tenant_uuid = own.tenant_uuid and f.id <> own.id and ${holder}) as gives_up
  from files own join tenant_usage u on u.tenant_uuid = own.tenant_uuid where own.id = {id}::uuid and own.status = 'pending'`);
