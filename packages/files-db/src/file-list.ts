import type { Sql } from 'postgres';

import { statement } from './database/statement.ts';
import type { Parameter, Statement } from './database/statement.ts';
import { assertFields, limitProblem, ownerProblem } from './field-checks.ts';
import { accessParameters } from './file-access.ts';
import type { AccessParameters } from './file-access.ts';
import { fileRecordOf, fileStatuses, recordColumns } from './file-record.ts';
import type { FileRow } from './file-record.ts';
import type { FilePage, ListFilesRequest } from './file-requests.ts';
import { parseId } from './ids.ts';

/**
 * Rows that the list of all files passes before it looks at each tenant instead: the newest may all be tombstones. More for long pages and
 * many tenants, since the other way may read a page of each of as many tenants, and searches each of them, which takes as long as some
 * twenty rows.
 */
const longestWalk = `longest_walk as materialized (
  select greatest(10000, 100 * {limit}::int8, 20 * reltuples::int8) as rows from pg_class where oid = 'tenants'::regclass
)`;

/**
 * Characters in a page: what is longer is continued on the next one. As many clients as like may ask for pages and not read them, and each of
 * a thousand files may have 16 KiB of metadata, which are half as many again as the database writes them. Any hundred files fit.
 */
const maxPageLength = 3 * 2 ** 20;

/** What decides the text of a list statement; everything else is a parameter of it. */
interface Shape {
  /** `each`: every tenant in which the owner has files. */
  readonly tenant: 'any' | 'named' | 'none' | 'each';
  /** `all`: any owner; `one`: one owner; `visible`: the caller's own files and public ones; `public`: public files of one owner. */
  readonly owner: 'all' | 'one' | 'visible' | 'public';
  /** Only available files; otherwise those of another status, which is a parameter. */
  readonly onlyAvailable: boolean;
  /** Whether to look for the tenants that have files, and then at the newest files of each. */
  readonly byTenant: boolean;
  /** Whether it is not the first page. */
  readonly continued: boolean;
}

/** A row of a walk past `longestWalk` files has `is_last`, whatever its status. */
type ListedRow = FileRow & { readonly is_last?: boolean };

/**
 * Lists files, newest first. Runs one statement per page, which reads at most a page of rows from each part of an index that it visits; for
 * the list of all files a second one, where the first has passed `longestWalk` rows.
 */
export class FileLister {
  readonly #sql: Sql;
  readonly #statements = new Map<string, Statement<Record<string, Parameter>, ListedRow>>();

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  async list({ access, limit = 100, cursor, ownerId, status = 'available' }: ListFilesRequest): Promise<FilePage> {
    const parameters = accessParameters(access);
    const { anyTenant, tenant, subject } = parameters;
    assertFields({
      limit: limitProblem(limit),
      owner_id: ownerId === undefined ? undefined : ownerProblem(ownerId),
      status: fileStatuses.includes(status) ? undefined : `Is one of ${fileStatuses.join(', ')}.`,
    });
    const before = cursor === undefined ? undefined : decodeCursor(cursor);
    const owner = ownerShape(ownerId, parameters);
    const shape: Shape = {
      tenant: anyTenant ? 'any' : tenant === null ? 'none' : 'named',
      owner,
      onlyAvailable: status === 'available',
      byTenant: anyTenant && owner === 'one',
      continued: before !== undefined,
    };
    const values = { tenant, owner: ownerId, subject, status, before, limit: limit + 1 };
    let rows = await this.#statement(shape)(this.#sql, values);
    if (rows.at(-1)?.is_last === true) rows = await this.#statement({ ...shape, byTenant: true })(this.#sql, values);
    const files = rows.slice(0, Math.min(limit, fitting(rows))).map(fileRecordOf);
    const last = rows.length > files.length ? files.at(-1) : undefined;
    return { files, nextCursor: last === undefined ? null : encodeCursor(last.id) };
  }

  #statement(shape: Shape): Statement<Record<string, Parameter>, ListedRow> {
    const name = Object.values(shape).join(' ');
    let known = this.#statements.get(name);
    if (known === undefined) {
      known = statement<Record<string, Parameter>, ListedRow>(listText(shape));
      this.#statements.set(name, known);
    }
    return known;
  }
}

/** How many of the rows fit into a page: at least one. */
function fitting(rows: readonly FileRow[]): number {
  let length = 0;
  const beyond = rows.findIndex(({ filename, metadata }) => (length += filename.length + metadata.length) > maxPageLength);
  return beyond === -1 ? rows.length : Math.max(beyond, 1);
}

function ownerShape(ownerId: string | undefined, { anyOwner, subject }: AccessParameters): Shape['owner'] {
  if (ownerId === undefined) return anyOwner ? 'all' : 'visible';
  return anyOwner || ownerId === subject ? 'one' : 'public';
}

function listText(shape: Shape): string {
  const { tenant, owner, onlyAvailable, byTenant } = shape;
  if (tenant === 'any' && owner === 'all' && onlyAvailable && !byTenant) return walk(shape);
  return `${byTenant ? `with recursive ${holders(shape)} ` : ''}
    select ${recordColumns} from (${byTenant ? ofEachTenant(shape) : pages(shape)}) as page order by ${byId} limit {limit}::int8`;
}

// The indexes have another order than the primary key, which only this walk uses. The planner must not know how far it goes: it would
// rather sort a table of not many more rows.
function walk({ continued }: Shape): string {
  const longest = '(select rows from longest_walk)';
  return `with ${longestWalk} select ${recordColumns}, is_last from (
      select *, row_number() over (order by id desc) = ${longest} as is_last from (
        select * from files ${continued ? 'where id < {before}::uuid' : ''} order by id desc limit ${longest}
      ) as newest
    ) as walked where status = 'available' or is_last order by id desc limit {limit}::int8`;
}

const byId = 'id desc nulls last';

// The tenants that have files, in which an owner has available files, or anybody has files of another status, each found by searching after
// the previous one, and finally NULL. Sorting the owner's files of all tenants would read every one of them. An index on the status of all
// files does not tell the owner: it would read everybody's.
function holders({ owner, onlyAvailable }: Shape): string {
  const [condition, order] = !onlyAvailable
    ? ['status = {status}::text and sweep_at is not null', 'status, tenant_uuid']
    : owner === 'all'
      ? [`status <> 'deleted'`, 'tenant_uuid']
      : [`owner_id = {owner}::text and status = 'available'`, 'owner_id, tenant_uuid'];
  const next = (after = ''): string => `select tenant_uuid from files where ${condition} ${after} order by ${order} limit 1`;
  return `holders as (
    select (${next()}) as tenant_uuid
    union all select (${next('and tenant_uuid > holders.tenant_uuid')}) from holders where tenant_uuid is not null
  )`;
}

// Of the tenants, those with the newest files: as many as there are files in a page, since no other can have a file in it.
function ofEachTenant(shape: Shape): string {
  const each: Shape = { ...shape, tenant: 'each' };
  const newest = `select id from (${pages(each, '1')}) as page order by ${byId} limit 1`;
  return `select page.* from (
      select tenant_uuid from holders cross join lateral (${newest}) as newest order by ${byId} limit {limit}::int8
    ) as holders cross join lateral (${pages(each)}) as page
    union all ${pages({ ...shape, tenant: 'none' })}`;
}

const ofTenant = {
  any: [],
  named: ['tenant_uuid = {tenant}::text'],
  none: ['tenant_uuid is null'],
  each: ['tenant_uuid = holders.tenant_uuid'],
} as const satisfies Record<Shape['tenant'], readonly string[]>;

function pages(shape: Shape, limit = '{limit}::int8'): string {
  const { tenant, owner, onlyAvailable, continued } = shape;
  // In lists of all owners, the status is hidden from the planner: without statistics it takes an index for users' lists for a short one,
  // and reads all of it.
  const isAvailable = owner === 'all' ? `case status when 'available' then true else false end` : `status = 'available'`;
  // As in the indexes `files_by_status_of_all` and `files_by_status`.
  const hasStatus = tenant === 'any' ? `'any ' || status = 'any ' || {status}::text` : 'status = {status}::text';
  // The condition of the index `files_by_tenant`.
  const isNotDeleted = onlyAvailable && owner === 'all' ? [`status <> 'deleted'`] : [];
  const common = [
    ...ofTenant[tenant],
    onlyAvailable ? isAvailable : `${hasStatus} and sweep_at is not null`,
    ...isNotDeleted,
    ...(continued ? ['id < {before}::uuid'] : []),
  ];
  // An index on (tenant_uuid, id) yields ids in order within NULL only when the query orders by both.
  const order = `${tenant !== 'none' ? '' : onlyAvailable && owner === 'all' ? 'tenant_uuid desc, ' : 'tenant_uuid, '}${byId}`;
  const page = (...conditions: readonly string[]): string =>
    `(select * from files where ${[...common, ...conditions].join(' and ')} order by ${order} limit ${limit})`;
  // One condition with "or" would read all of the tenant's files to find the few that the caller sees. `files_by_owner` keeps an owner's
  // public files apart from the others.
  const bothOf = (own: string, others: string): string => `${page(own, 'not is_public')} union all ${page(others, 'is_public')}`;
  const isOwners = 'owner_id = {owner}::text';
  switch (owner) {
    case 'all':
      return page();
    case 'one':
      return onlyAvailable ? bothOf(isOwners, isOwners) : page(isOwners);
    case 'public':
      return page(isOwners, 'is_public');
    case 'visible':
      return bothOf('owner_id = {subject}::text', 'true');
  }
}

function encodeCursor(id: string): string {
  return Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url');
}

function decodeCursor(cursor: string): string {
  const hex = /^[\w-]{22}$/.test(cursor) ? Buffer.from(cursor, 'base64url').toString('hex') : '';
  const id = parseId(hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'));
  assertFields({ cursor: id === undefined ? 'Is not a cursor from a list.' : undefined });
  return id!;
}
