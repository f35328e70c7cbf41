import { dueAtOnce, inSeconds, statement } from './database/statement.ts';

// While a file moves, its new and its old place each have a tombstone, which the sweep clears in time: whatever dies in between, no object
// is left without a row. A tombstone's id is made from its place, so a place has at most one. It is lower than any file's id, since the
// list of all files begins with the highest ids, and looking for a tenant's places must not pass all its other tombstones.
export const tombstoneIdOf = (bucket: string, key = '{key}::text'): string =>
  `overlay(md5(${bucket} || '/' || ${key}) placing '00' from 1)::uuid`;
/** Whether a row is such a tombstone, and not that of a deleted file, which keeps its owner. */
export const isOfPlace = (row: string): string =>
  `${row}.status = 'deleted' and ${row}.owner_id = '' and ${row}.id < '01000000-0000-0000-0000-000000000000'`;
/** Makes the tombstone `f` of a place due for the next sweep, but not before a form for it expires. */
export const releasePlace = `update files f set sweep_at = greatest(${dueAtOnce}, f.expires_at)`;
/** A sweep that has taken a row may work on its object for ten minutes, whatever `sweep_at` says: that is of the age and the time it goes by. */
const unclaimed = (row: string): string =>
  `${row}.status = 'deleted' and ${row}.sweep_at > now() + interval '15 minutes' and coalesce(${row}.leased_until <= now(), true)`;

export interface StrayRow {
  readonly id: string;
  readonly bucket: string;
  readonly storage_key: string;
  readonly size_bytes: string;
  readonly etag: string;
  readonly sha256: string | null;
  /** Whether completing may have left copies that only a sweep after the form's expiry finds. */
  readonly unsettled: boolean;
}

/**
 * Looks at the next `limit` available files of a tenant, by id, and returns those outside `buckets` (a JSON array) and the last one, after
 * which to continue. A statement that went on until it had found enough would read all files where none is outside.
 */
export const findStrays = statement<
  { readonly tenant: string; readonly buckets: string; readonly after: string; readonly limit: number },
  StrayRow & { readonly strays: boolean; readonly is_last: boolean }
>(`
  select * from (
    select id, bucket, storage_key, size_bytes, etag, sha256, upload_key is not null and complete_attempts > 1 as unsettled,
      bucket <> all (array(select json_array_elements_text({buckets}::text::json))) as strays, row_number() over (order by id nulls first) = {limit}::int8 as is_last
    from (
      select * from files where tenant_uuid = {tenant}::text and id > {after}::uuid and status = 'available'
      order by tenant_uuid, id nulls first limit {limit}::int8
    ) as page
  ) as walked
  where strays or is_last order by id nulls first`);

interface Move {
  readonly id: string;
  readonly key: string;
  readonly from: string;
  readonly to: string;
}

/** That the bucket is on record as the tenant's is read anew: another one may have it by now, and its own claims would not be ended. */
const movableFile = `id = {id}::uuid and status = 'available' and bucket = {from}::text and storage_key = {key}::text
  and exists (select from tenant_buckets b where b.bucket = {to}::text and b.tenant_uuid = files.tenant_uuid)`;

/** Tells apart the claims of a place: each has a time of its own. */
const claimOf = (row: string): string => `(extract(epoch from ${row}.sweep_at) * 1000)::int8`;

/**
 * Claims the place for a copy, for so many seconds, and ends the claim of any other process. No row when the file is not where it was, the
 * bucket is not its tenant's any more, or a sweep is clearing the place.
 */
export const claimDestination = statement<Move & { readonly seconds: number }, { readonly claim: string }>(`
  insert into files (id, tenant_uuid, owner_id, filename, content_type, bucket, storage_key, status, sweep_at)
  select ${tombstoneIdOf('{to}::text')}, tenant_uuid, '', filename, content_type, {to}::text, storage_key, 'deleted', ${inSeconds('{seconds}::float8')}
  from files where ${movableFile} for update
  on conflict (id) do update set tenant_uuid = excluded.tenant_uuid,
    sweep_at = greatest(excluded.sweep_at, files.sweep_at + interval '1 millisecond') where ${unclaimed('files')}
  returning ${claimOf('files')} as claim`);

/**
 * Records that the file is where its copy is, and leaves its old place to the sweep, together with the key that a presigned form can still
 * write to. No row when the file is not where it was, the bucket is not its tenant's any more, or the claim has ended.
 */
export const switchLocation = statement<
  Move & { readonly claim: string; readonly etag: string; readonly sweepIn: number },
  { readonly id: string }
>(`
  with file as (
    select * from files where ${movableFile} for update
  ), claimed as (
    delete from files f using file where f.id = ${tombstoneIdOf('{to}::text')} and f.tenant_uuid = file.tenant_uuid
      and ${claimOf('f')} = {claim}::int8 and ${unclaimed('f')} returning f.id
  ), moved as (
    update files f set bucket = {to}::text, etag = {etag}::text, upload_key = null, expires_at = null, sweep_at = null
    from file, claimed where f.id = file.id
    returning f.id
  ), vacated as (
    insert into files (id, tenant_uuid, owner_id, filename, content_type, bucket, storage_key, upload_key, status, expires_at, sweep_at)
    select ${tombstoneIdOf('{from}::text')}, file.tenant_uuid, '', file.filename, file.content_type, file.bucket, file.storage_key,
      file.upload_key, 'deleted', file.expires_at, greatest(${inSeconds('{sweepIn}::float8')}, file.sweep_at, file.expires_at)
    from file, moved
    on conflict (id) do update set tenant_uuid = excluded.tenant_uuid, upload_key = excluded.upload_key, expires_at = excluded.expires_at,
      sweep_at = excluded.sweep_at
  )
  select id from moved`);

/**
 * For a copy that did not become the file: returns where the file is, if anywhere. Whoever moved it has removed the claim, and so does a
 * sweep after days: a copy made after that needs a tombstone for the sweep to know of it. It has no tenant, and so is no claim: another process
 * would take it for its own, whose copy is gone. The file's row is locked first: its move may be about to remove the claim.
 */
export const abandonCopy = statement<Omit<Move, 'from'> & { readonly seconds: number }, { readonly bucket: string | null }>(`
  with file as (
    select bucket from files where id = {id}::uuid and status <> 'deleted' for update
  ), claimed as (
    insert into files (id, tenant_uuid, owner_id, filename, content_type, bucket, storage_key, status, sweep_at)
    select ${tombstoneIdOf('{to}::text')}, null, '', {id}::text, '', {to}::text, {key}::text, 'deleted', ${inSeconds('{seconds}::float8')}
    where not exists (select from file where bucket = {to}::text)
    on conflict (id) do nothing
  )
  select (select bucket from file) as bucket`);

/**
 * Ends the claims in a tenant's bucket that was deleted: a copy that was deleted with it must not become the file. The tombstones stay,
 * without a tenant: if the bucket is made again, a copy may still come, and only the sweep removes that of a killed process. Reads `files_by_status`.
 */
export const endClaims = statement<{ readonly tenant: string; readonly bucket: string }, never>(`
  update files set tenant_uuid = null where tenant_uuid = {tenant}::text and ${isOfPlace('files')} and sweep_at is not null
    and bucket = {bucket}::text`);
