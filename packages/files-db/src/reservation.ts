import { canonicalTenantUuid, storageError } from '@coffer/storage-core';
import type { TenantContext } from '@coffer/storage-core';
import type { Sql } from 'postgres';

import { mayBeDone } from './database-error.ts';
import type { FileParts } from './file-parts.ts';
import { abandonFile, findContention, findQuota, forgetFile, insertFile, reserveMore } from './file-statements.ts';
import type { NewFileRow } from './file-statements.ts';
import type { Patience } from './quota-wait.ts';
import { resolveTenant } from './tenant-rows.ts';
import { overQuota } from './upload-body.ts';

export interface Reservation {
  /** Bytes that are reserved. */
  readonly granted: number;
  /** Whether more than that is over the quota; false without a quota. */
  readonly limited: boolean;
}

/**
 * Writes a pending file, with space for it reserved before any byte of it is taken or asked for. Where other uploads hold
 * what is missing, it waits a little for what they may give back.
 * @param ask `bytes` is what it may need, `least` what has to be free for it to begin
 * @throws quota_exceeded, tenant_not_found, tenant_mismatch, the signal's reason
 */
export async function reserve(
  { sql, waiters, turns }: FileParts,
  row: NewFileRow,
  ask: {
    readonly tenant: TenantContext | undefined;
    readonly bytes: number;
    readonly least: number;
    readonly signal: AbortSignal | undefined;
  },
): Promise<Reservation> {
  const { tenant, bytes, least, signal } = ask;
  if (tenant === undefined) {
    await insertFile(sql, row);
    return { granted: bytes, limited: false };
  }
  const tenantUuid = canonicalTenantUuid(tenant.tenantUuid);
  const parameters = { ...row, tenant: tenantUuid, asked: bytes, least };
  let patience: Patience | undefined;
  for (;;) {
    const granted = await turns.reserve(parameters).catch(async (error: unknown) => {
      if (mayBeDone(error)) {
        await giveBack(sql, row.id);
        waiters.wake(tenantUuid);
      }
      throw error;
    });
    if (granted !== undefined) return { granted: Number(granted.granted_bytes), limited: granted.limited };
    const [quota] = await findQuota(sql, { tenant: tenantUuid });
    if (quota?.closed === true) throw storageError('tenant_not_found', 'The tenant is being deleted.');
    if (quota === undefined) {
      await resolveTenant(sql, tenant); // throws, or the tenant is there now
      continue;
    }
    if (quota.free_bytes === null || Number(quota.free_bytes) >= least) continue; // it has become free since
    patience ??= waiters.patienceFor(tenantUuid);
    const hopeless = Number(quota.unused_bytes) < least || !quota.contended;
    if (hopeless || !(await patience.wait(signal))) {
      const left = Math.max(Number(quota.free_bytes), 0);
      throw storageError('quota_exceeded', `The file is larger than what is left of the tenant's quota: ${left} bytes.`);
    }
  }
}

/** What nobody will use, and would miss until a sweep a day later. */
async function giveBack(sql: Sql, id: string): Promise<void> {
  try {
    await abandonFile(sql, { id, mayCome: false });
    await forgetFile(sql, { id });
  } catch {
    // The database is away still: that is for the sweep.
  }
}

/**
 * More space for a file that turns out to need it. Of uploads that all wait for each other the youngest one gives up, so that
 * what it holds lets another one end.
 * @param ask `needed` is how many bytes the file has so far, `asked` how many to reserve on top
 * @returns bytes, more than 0
 * @throws quota_exceeded, file_not_found, tenant_not_found, the signal's reason
 */
export async function topUp(
  { sql }: FileParts,
  ask: {
    readonly id: string;
    readonly needed: number;
    readonly asked: number;
    readonly patience: Patience;
    readonly signal: AbortSignal | undefined;
  },
): Promise<number> {
  const { id, needed, asked, patience, signal } = ask;
  for (;;) {
    const [more] = await reserveMore(sql, { id, needed, asked });
    if (more !== undefined) return Number(more.granted_bytes);
    const [found] = await findContention(sql, { id });
    if (found === undefined) throw storageError('file_not_found', 'The file was deleted while it was being uploaded.');
    if (found.closed) throw storageError('tenant_not_found', 'The tenant is being deleted.');
    if (found.free_bytes === null || Number(found.free_bytes) > 0) continue; // it has become free since
    if (Number(found.unused_bytes) < needed || found.gives_up || !(await patience.wait(signal))) throw overQuota();
  }
}
