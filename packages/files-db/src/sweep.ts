import { isDate } from 'node:util/types';

import { hasCode, noContext, storageError } from '@coffer/storage-core';
import type { CallContext, StorageService } from '@coffer/storage-core';

import { assertWanted } from './call-context.ts';
import { isForeignKeyViolation } from './database/error.ts';
import { dueAtOnce, statement } from './database/statement.ts';
import { assertFields, flagProblem } from './field-checks.ts';
import type { FileParts } from './file-parts.ts';
import type { FileStatus } from './file-record.ts';
import type { FileSweepReport, SweepRequest } from './file-requests.ts';
import { removeObjectsOfRows } from './object-removal.ts';
import type { ObjectOfRow } from './object-removal.ts';

const batchSize = 200;
/** Seconds after its `sweep_at` that a row is due, unless a sweep is told otherwise. */
export const sweepDelay = 86_400;
/** Seconds for which rows belong to the sweep that took them. If it dies, the next one takes them after that. */
const lease = 600;
/** Seconds after which it leaves them to the next one: what the provider was asked for by then is done before others take the rows. */
const longestRemoval = lease - 60;

type Counted = Exclude<keyof FileSweepReport, 'retained'>;
const counterOf: Readonly<Record<FileStatus, Counted>> = {
  pending: 'expired',
  failed: 'failed',
  deleted: 'deleted',
  available: 'received',
};

interface DueRow {
  readonly id: string;
  readonly was: FileStatus;
  /** The `sweep_at` that made it due, in milliseconds since the epoch. */
  readonly due_since: string;
  readonly bucket: string;
  readonly storage_key: string;
  readonly upload_key: string | null;
  /** Whether completing may have left copies that are in no row. */
  readonly copies: boolean;
}

/** Seconds that a direct upload may take; after that its process counts as dead. */
const longestUpload = 86_400;
// Other sweeps may go by another age: `sweep_at` alone does not tell whether one of them holds the row.
// `sweep_at` of a direct upload is the time it began, and does not tell whether anybody still works on it.
const due = `sweep_at <= {due}::text::timestamptz and coalesce(leased_until <= {now}::text::timestamptz, true)
  and (status <> 'pending' or upload_key is not null or sweep_at <= {uploads}::text::timestamptz)`;

interface Due {
  /** Rows whose `sweep_at` is no later than this are due. */
  readonly due: string;
  /** Direct uploads that began no later than this are given up. */
  readonly uploads: string;
  /** Rows that another sweep holds are free again by this time. */
  readonly now: string;
}

/**
 * Takes rows that are due, in the order of their `sweep_at`, from that of `after` on: those not available become tombstones, and their
 * reservations are released. A statement that began with the first row would pass all that were taken before: as long as a transaction may
 * see them, such as that of a dump, the index keeps them. Skips rows that another sweep holds.
 * `until` becomes their `sweep_at`: this sweep does not take them again, and a process of the version before leases waits, if it goes by the
 * same age. Usage rows are locked in one order, so that two sweeps never deadlock. The limit is part of the text: for an arbitrary number,
 * the planner would read the whole table.
 */
const takeDue = statement<Due & { readonly after: string; readonly until: string }, DueRow>(`
  with due as (
    select id, status as was, sweep_at as due_at from files where ${due} and sweep_at >= to_timestamp({after}::float8 / 1000)
    order by sweep_at limit ${batchSize} for update skip locked
  ), moved as (
    update files f set sweep_at = {until}::text::timestamptz,
      leased_until = greatest(now(), {now}::text::timestamptz) + interval '${lease} seconds',
      status = case f.status when 'available' then 'available' else 'deleted' end,
      updated_at = case f.status when 'pending' then now() else f.updated_at end
    from due where f.id = due.id
    returning f.*, due.was, due.due_at
  ), held as (
    select tenant_uuid, sum(reserved_bytes) as bytes from moved where was = 'pending' and tenant_uuid is not null group by tenant_uuid
  ), locked as (
    select tenant_uuid from tenant_usage where tenant_uuid in (select tenant_uuid from held) order by tenant_uuid for update
  ), released as (
    update tenant_usage u set reserved_bytes = u.reserved_bytes - held.bytes from held, locked
    where u.tenant_uuid = held.tenant_uuid and locked.tenant_uuid = held.tenant_uuid
  )
  select id, was, (extract(epoch from due_at) * 1000)::text as due_since, bucket, storage_key, upload_key,
    upload_key is not null and complete_attempts > case was when 'available' then 1 else 0 end as copies
  from moved order by due_at`);

const countDue = statement<Due, { readonly status: FileStatus; readonly rows: string }>(
  `select status, count(*) as rows from files where ${due} group by status`,
);

interface Taken {
  /** As they were taken. */
  readonly until: string;
}

// Rows with another `sweep_at` by now stay as they are: an available file was deleted meanwhile, and its own object still exists, or the
// lease is over. `sweep_at` is hidden from the planner, which would look for the rows among all that a sweep has taken. Locked by id, as
// in mass deletions.
const taken = `select id from files where id in (select value::uuid from json_array_elements_text({ids}::text::json))
  and case sweep_at when {until}::text::timestamptz then true else false end order by id for update`;

/**
 * Finishes rows whose objects are gone. A tombstone is deleted unless its form may be used again; the receiving key of an available file is
 * never looked at again.
 */
const finish = statement<Taken & { readonly ids: string; readonly now: string }, never>(`
  with done as (
    ${taken}
  ), kept as (
    update files f set upload_key = case f.status when 'available' then null else f.upload_key end,
      sweep_at = case f.status when 'available' then null else f.expires_at end, leased_until = null
    from done where f.id = done.id and (f.status = 'available' or f.status = 'deleted' and f.expires_at > {now}::text::timestamptz)
  )
  delete from files f using done where f.id = done.id and f.status = 'deleted' and coalesce(f.expires_at <= {now}::text::timestamptz, true)`);

/** Leaves rows that stay to the next sweep, even to one right after this one, whatever age it goes by. */
const release = statement<Taken & { readonly ids: string }, never>(`
  with held as (
    ${taken}
  )
  update files f set sweep_at = ${dueAtOnce}, leased_until = null from held where f.id = held.id`);

/** The database's time in whole milliseconds, like the times in the rows, and later than any of those that are past. */
const readTime = statement<Readonly<Record<never, never>>, { readonly now: string }>(
  `select ceil(extract(epoch from now()) * 1000)::int8 as now`,
);

/** See `FileService.sweep`. */
export async function sweepFiles(parts: FileParts, request: SweepRequest = {}, ctx: CallContext = noContext): Promise<FileSweepReport> {
  const { sql, storage } = parts;
  const { olderThanSeconds = sweepDelay, dryRun = false } = request;
  assertWanted(ctx);
  // A negative age would make rows due before their time, and so would null, which compares as 0.
  if (!(typeof olderThanSeconds === 'number' && olderThanSeconds >= 0))
    throw storageError('invalid_argument', 'olderThanSeconds must be a number of seconds, at least 0.');
  if (request.now !== undefined && !(isDate(request.now) && !Number.isNaN(request.now.getTime())))
    throw storageError('invalid_argument', 'now must be a valid Date.');
  assertFields({ dry_run: flagProblem(dryRun) });
  const now = request.now ?? (await databaseTime(sql));
  // PostgreSQL cannot read years before 0 as Date writes them, and no file is from before 1970.
  const before = (seconds: number): string => new Date(Math.max(now.getTime() - seconds * 1000, 0)).toISOString();
  const times = { due: before(olderThanSeconds), uploads: before(longestUpload), now: before(0) };
  const report = { expired: 0, failed: 0, deleted: 0, received: 0, retained: 0 };
  if (dryRun) {
    for (const { status, rows } of await countDue(sql, times)) report[counterOf[status]] = Number(rows);
    return report;
  }
  const until = before(olderThanSeconds - lease);
  const staying: string[][] = [];
  for (let after = '-infinity'; ;) {
    ctx.signal?.throwIfAborted();
    const rows = await takeDue(sql, { ...times, after, until });
    if (rows.length === 0) break;
    after = rows.at(-1)!.due_since;
    const timeout = AbortSignal.timeout(longestRemoval * 1000);
    const signal = ctx.signal === undefined ? timeout : AbortSignal.any([ctx.signal, timeout]);
    const retained = await removeObjectsOf(storage, rows, { ...ctx, signal });
    const finished = rows.map(({ id }) => id).filter((id) => !retained.has(id));
    for (const id of await finishRows(sql, finished, { until, now: times.now })) retained.add(id);
    for (const { id, was } of rows) if (!retained.has(id)) report[counterOf[was]]++;
    report.retained += retained.size;
    if (retained.size > 0 && !signal.aborted) staying.push([...retained]);
  }
  // Only now: this sweep would take them again.
  for (const ids of staying) await release(sql, { ids: JSON.stringify(ids), until });
  return report;
}

/**
 * A foreign key of the application may refer to rows without saying what happens when they are deleted. Those rows stay, and no others.
 * @returns the ids of rows that stay
 */
async function finishRows(
  sql: FileParts['sql'],
  ids: readonly string[],
  sweep: Taken & { readonly now: string },
): Promise<readonly string[]> {
  try {
    await finish(sql, { ids: JSON.stringify(ids), ...sweep });
    return [];
  } catch (error) {
    if (!isForeignKeyViolation(error)) throw error;
    if (ids.length === 1) return ids;
    const half = Math.ceil(ids.length / 2);
    return [...(await finishRows(sql, ids.slice(0, half), sweep)), ...(await finishRows(sql, ids.slice(half), sweep))];
  }
}

/** @returns the ids of rows that still have objects */
async function removeObjectsOf(storage: StorageService, rows: readonly DueRow[], ctx: CallContext): Promise<Set<string>> {
  const unlistable: string[] = [];
  const objects: ObjectOfRow[] = [];
  for (const row of rows) {
    const { id, bucket } = row;
    if (row.was !== 'available') objects.push({ id, bucket, key: row.storage_key });
    if (row.upload_key !== null) objects.push({ id, bucket, key: row.upload_key });
    if (!row.copies) continue;
    try {
      for (const key of await copiesOf(storage, row, ctx))
        if (row.was !== 'available' || key !== row.storage_key) objects.push({ id, bucket, key });
    } catch {
      unlistable.push(id);
    }
  }
  return new Set([...unlistable, ...(await removeObjectsOfRows(storage, objects, ctx))]);
}

async function copiesOf(storage: StorageService, row: DueRow, ctx: CallContext): Promise<readonly string[]> {
  try {
    const keys: string[] = [];
    for await (const { key } of storage.listFiles({ bucket: row.bucket, prefix: `files/${row.id}/` }, ctx)) keys.push(key);
    return keys;
  } catch (error) {
    if (hasCode(error, 'no_such_bucket')) return [];
    throw error;
  }
}

/** Another process may have written the rows, and the clock of this one may be wrong. */
async function databaseTime(sql: FileParts['sql']): Promise<Date> {
  const [row] = await readTime(sql, {});
  return new Date(Number(row?.now));
}
