import { storageError } from '@coffer/storage-core';
import type { Sql } from 'postgres';

import { accessParameters } from './file-access.ts';
import { assertFields, limitProblem, nameProblem } from './field-checks.ts';
import { fileRecordOf, fileStatuses, recordColumns } from './file-record.ts';
import type { FileRow } from './file-record.ts';
import type { FilePage, ListFilesRequest } from './file-requests.ts';
import { parseId } from './ids.ts';
import { statement } from './statement.ts';
import type { Parameter, Statement } from './statement.ts';

/** What decides the text of a list statement; everything else is a parameter of it. */
interface Shape {
  readonly tenant: 'any' | 'named' | 'none';
  /** `all`: whoever owns it; `one`: of one owner; `visible`: the caller's own and public ones; `public`: public ones of one owner. */
  readonly owner: 'all' | 'one' | 'visible' | 'public';
  readonly settled: boolean;
  readonly continued: boolean;
}

/** Lists files, newest first. One statement per page, which reads no more rows of an index than it gives. */
export class FileLister {
  readonly #sql: Sql;
  readonly #statements = new Map<string, Statement<Record<string, Parameter>, FileRow>>();

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  async list({ access, limit = 100, cursor, ownerId, status = 'available' }: ListFilesRequest): Promise<FilePage> {
    const { anyTenant, tenant, anyOwner, subject } = accessParameters(access);
    assertFields({
      limit: limitProblem(limit),
      owner_id: ownerId === undefined ? undefined : nameProblem(ownerId, 255),
      status: fileStatuses.includes(status) ? undefined : `Is one of ${fileStatuses.join(', ')}.`,
    });
    const before = cursor === undefined ? undefined : decodeCursor(cursor);
    const ownerShape =
      anyOwner || ownerId === subject ? (ownerId === undefined ? 'all' : 'one') : ownerId === undefined ? 'visible' : 'public';
    const shape: Shape = {
      tenant: anyTenant ? 'any' : tenant === null ? 'none' : 'named',
      owner: ownerShape,
      settled: status === 'available',
      continued: before !== undefined,
    };
    const rows = await this.#statement(shape)(this.#sql, { tenant, owner: ownerId, subject, status, before, limit: limit + 1 });
    const files = rows.slice(0, limit).map(fileRecordOf);
    const last = rows.length > limit ? files.at(-1) : undefined;
    return { files, nextCursor: last === undefined ? null : encodeCursor(last.id) };
  }

  #statement(shape: Shape): Statement<Record<string, Parameter>, FileRow> {
    const name = `${shape.tenant} ${shape.owner} ${shape.settled} ${shape.continued}`;
    let known = this.#statements.get(name);
    if (known === undefined) {
      known = statement<Record<string, Parameter>, FileRow>(listText(shape));
      this.#statements.set(name, known);
    }
    return known;
  }
}

function listText({ tenant, owner, settled, continued }: Shape): string {
  // Where everybody's files are listed, hidden from the planner: without statistics it takes an index of users' lists for a short
  // one, and reads all of it.
  const isAvailable = owner === 'all' ? `case status when 'available' then true else false end` : `status = 'available'`;
  // As `files_by_status_of_all` and `files_by_status` have it.
  const hasStatus = tenant === 'any' ? `'any ' || status = 'any ' || {status}::text` : 'status = {status}::text';
  // What `files_by_tenant` holds.
  const isThere = settled && owner === 'all' && tenant !== 'any' ? [`status <> 'deleted'`] : [];
  const common = [
    ...(tenant === 'named' ? ['tenant_uuid = {tenant}::text'] : tenant === 'none' ? ['tenant_uuid is null'] : []),
    settled ? isAvailable : `${hasStatus} and sweep_at is not null`,
    ...isThere,
    ...(continued ? ['id < {before}::uuid'] : []),
  ];
  // The indexes have an order of their own, which the primary key does not have; only the list of all files goes by that:
  // to find those of one owner there, all that is newer would be read, and everything for an owner who has none.
  const byId = settled && tenant === 'any' && owner === 'all' ? 'id desc' : 'id desc nulls last';
  // An index on (tenant_uuid, id) gives the order of ids within NULL only when asked for the order of both.
  const order = tenant !== 'none' ? byId : settled && owner === 'all' ? `tenant_uuid desc, ${byId}` : `tenant_uuid, ${byId}`;
  const page = (...conditions: readonly string[]): string =>
    `select * from files where ${[...common, ...conditions].join(' and ')} order by ${order} limit {limit}::int8`;
  // One condition with "or" would read all of the tenant's files to find the few that the caller sees. Of public ones its own
  // are taken out of their page, not kept from it: that would read past all of them.
  const source =
    owner === 'visible'
      ? `(${page('owner_id = {subject}::text')}) union all (select * from (${page('is_public')}) as public where owner_id <> {subject}::text)`
      : page(...(owner === 'one' || owner === 'public' ? ['owner_id = {owner}::text'] : []), ...(owner === 'public' ? ['is_public'] : []));
  return `select ${recordColumns} from (${source}) as page order by ${byId} limit {limit}::int8`;
}

function encodeCursor(id: string): string {
  return Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url');
}

function decodeCursor(cursor: string): string {
  const hex = /^[\w-]{22}$/.test(cursor) ? Buffer.from(cursor, 'base64url').toString('hex') : '';
  const id = parseId(hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'));
  if (id === undefined) {
    const message = 'Is not a cursor that a list gave.';
    throw storageError('validation_failed', `cursor: ${message}`, { errors: [{ field: 'cursor', message }] });
  }
  return id;
}
