import { dueAtOnce, statement } from './database/statement.ts';
import { changeable } from './file-access.ts';
import type { AccessParameters } from './file-access.ts';
import type { FileStatus } from './file-record.ts';
import { releasePlace, tombstoneIdOf } from './relocation-statements.ts';

/** Deletes the rows of `target`. Each stays for the sweep until its objects are gone for good: not before a presigned form for it expires. */
export const toTombstones = `update files f set status = 'deleted', sweep_at = greatest(now(), f.expires_at), updated_at = now()
    from target where f.id = target.id
    returning f.id, f.tenant_uuid, f.size_bytes, f.reserved_bytes, f.bucket, f.storage_key, f.upload_key, target.was`;

interface DeletedFile {
  /** The status until now. */
  readonly was: FileStatus;
  readonly bucket: string;
  readonly storage_key: string;
  readonly upload_key: string | null;
  /** Its bucket when the statement began: it may have waited for a move to end, and cannot see what that left behind. */
  readonly found_in: string;
}

/** Row of the place where a file was before it moved to its tenant's bucket, if the object there still exists. */
export interface FormerPlace {
  readonly storage_key: string;
  readonly former_id: string | null;
  readonly former_bucket: string | null;
  readonly former_upload_key: string | null;
}

/** Uses a scalar subquery: no plan can turn it into a join that reads all rows. */
const releasedAt = (bucket: string): string => `
    ${releasePlace}
    where f.id = (select ${tombstoneIdOf(`${bucket}::text`, 'storage_key')} from moved where bucket <> ${bucket}::text)
    returning f.id, f.bucket, f.upload_key`;

/** Any status -> deleted; takes the file out of the tenant's usage. No row when there is no such file that the caller may change. */
export const deleteFile = statement<
  AccessParameters & {
    readonly id: string;
    /** Buckets for files that are in no tenant's bucket, here and below. */
    readonly formerBucket: string | null;
    readonly otherFormerBucket: string | null;
  },
  DeletedFile & FormerPlace
>(`
  with target as (
    select id, status as was from files where id = {id}::uuid and status <> 'deleted' and ${changeable} for update
  ), moved as (
    ${toTombstones}
  ), counted as (
    update tenant_usage u set
      used_bytes = u.used_bytes - case moved.was when 'available' then moved.size_bytes else 0 end,
      used_files = u.used_files - case moved.was when 'available' then 1 else 0 end,
      reserved_bytes = u.reserved_bytes - case moved.was when 'pending' then moved.reserved_bytes else 0 end
    from moved where u.tenant_uuid = moved.tenant_uuid
  ), former as (${releasedAt('{formerBucket}')}
  ), other as (${releasedAt('{otherFormerBucket}')}
  )
  select was, moved.bucket, storage_key, moved.upload_key, (select f.bucket from files f where f.id = {id}::uuid) as found_in, former.id as former_id, former.bucket as former_bucket, former.upload_key as former_upload_key
  from moved left join (select * from former union all select * from other) as former on true`);

/** For the file that was deleted while it moved: what `deleteFile` could not see. */
export const releaseFormer = statement<{ readonly bucket: string; readonly key: string }, FormerPlace>(`
  ${releasePlace} where f.id = ${tombstoneIdOf('{bucket}::text')}
  returning f.storage_key, f.id as former_id, f.bucket as former_bucket, f.upload_key as former_upload_key`);

/** Makes a deleted file whose objects still exist due for the next sweep. */
export const hurrySweep = statement<{ readonly id: string }, never>(
  `update files set sweep_at = ${dueAtOnce} where id = {id}::uuid and status = 'deleted'`,
);

/** Removes the row of a deleted file whose objects are gone. */
export const forgetFile = statement<{ readonly id: string }, never>(`delete from files where id = {id}::uuid and status = 'deleted'`);

/** `sweep_at` of an upload that was given up: the next sweep may take the row, or, if the object `mayCome` later, the first one after a day. */
export const givenUp = `case when {mayCome}::boolean then now() else ${dueAtOnce} end`;

/**
 * For an upload that turns out to be deleted: a sweep that has removed its row, or is about to, may not have seen the object. With its
 * `uploadKey`, the next sweep removes the copies of all attempts to complete it.
 */
export const leaveToSweep = statement<
  {
    readonly id: string;
    readonly ownerId: string;
    readonly bucket: string;
    readonly key: string;
    readonly uploadKey: string | null;
    readonly mayCome: boolean;
  },
  never
>(`
  insert into files (id, owner_id, filename, content_type, bucket, storage_key, upload_key, complete_attempts, status, sweep_at)
  values ({id}::uuid, {ownerId}::text, '', '', {bucket}::text, {key}::text, {uploadKey}::text, 1, 'deleted', ${givenUp})
  on conflict (id) do update set sweep_at = excluded.sweep_at`);
