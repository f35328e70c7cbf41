import { canonicalTenantUuid, storageError } from '@coffer/storage-core';
import type { TenantContext } from '@coffer/storage-core';
import type { Sql } from 'postgres';

import { mayHaveCommitted } from './database/error.ts';
import { forgetFile } from './deletion-statements.ts';
import type { FileParts } from './file-parts.ts';
import { abandonFile, findContention, findQuota, insertFile, reserveMore } from './file-statements.ts';
import type { NewFileRow } from './file-statements.ts';
import type { WaitBudget } from './quota-waiters.ts';
import { resolveTenant } from './tenants/rows.ts';

export interface Reservation {
  /** Reserved bytes. */
  readonly granted: number;
  /** Whether the tenant has a quota, so that more bytes have to be reserved first. */
  readonly limited: boolean;
}

/**
 * Inserts a pending file, and reserves its space before any of its bytes is taken or asked for. When other uploads hold the space that is
 * missing, it waits a little for them to give some back.
 * @param ask `bytes` is what the file may need, `least` what must be free for it to begin; `onRecord`: see `FileBucket`
 * @returns undefined when the bucket should be the tenant's and is not
 * @throws quota_exceeded, tenant_not_found, tenant_mismatch, the signal's reason
 */
export async function reserve(
  { sql, waiters, tenantQueues }: FileParts,
  row: NewFileRow,
  ask: {
    readonly tenant: TenantContext | undefined;
    readonly bytes: number;
    readonly least: number;
    readonly onRecord: boolean;
    readonly signal: AbortSignal | undefined;
  },
): Promise<Reservation | undefined> {
  const { tenant, bytes, least, onRecord, signal } = ask;
  if (tenant === undefined) {
    await insertFile(sql, row);
    return { granted: bytes, limited: false };
  }
  const tenantUuid = canonicalTenantUuid(tenant.tenantUuid);
  const parameters = { ...row, tenant: tenantUuid, asked: bytes, least, onRecord };
  let budget: WaitBudget | undefined;
  for (;;) {
    const granted = await tenantQueues.reserve(parameters).catch(async (error: unknown) => {
      if (mayHaveCommitted(error)) {
        await cancelReservation(sql, row.id);
        waiters.wake(tenantUuid);
      }
      throw error;
    });
    if (granted !== undefined) return { granted: Number(granted.granted_bytes), limited: granted.limited };
    const [quota] = await findQuota(sql, { tenant: tenantUuid, bucket: row.bucket });
    if (quota?.closed === true) throw storageError('tenant_not_found', 'The tenant is being deleted.');
    if (quota === undefined) {
      await resolveTenant(sql, tenant); // throws unless the tenant exists now
      continue;
    }
    if (onRecord && !quota.has_bucket) return undefined;
    if (quota.free_bytes === null || Number(quota.free_bytes) >= least) continue; // space has become free since
    budget ??= waiters.budgetFor(tenantUuid);
    const hopeless = Number(quota.unused_bytes) < least || !quota.contended;
    if (hopeless || !(await budget.wait(signal))) {
      const left = Math.max(Number(quota.free_bytes), 0);
      throw storageError('quota_exceeded', `The file is larger than what is left of the tenant's quota: ${left} bytes.`);
    }
  }
}

/** Gives back a reservation that nobody will use, and that would otherwise last until a sweep a day later. */
async function cancelReservation(sql: Sql, id: string): Promise<void> {
  try {
    await abandonFile(sql, { id, mayCome: false });
    await forgetFile(sql, { id });
  } catch {
    // The database is still unavailable; the sweep does it.
  }
}

/**
 * Reserves more space for a file that turns out to need it. When all uploads wait for each other, the youngest gives up, so that its space
 * lets another one finish.
 * @param ask `needed` is how many bytes the file has so far, `asked` how many to reserve on top
 * @returns the bytes reserved, more than 0
 * @throws quota_exceeded, file_not_found, the signal's reason
 */
export async function topUp(
  { sql }: FileParts,
  ask: {
    readonly id: string;
    readonly needed: number;
    readonly asked: number;
    readonly budget: WaitBudget;
    readonly signal: AbortSignal | undefined;
  },
): Promise<number> {
  const { id, needed, asked, budget, signal } = ask;
  for (;;) {
    const [more] = await reserveMore(sql, { id, needed, asked });
    if (more !== undefined) return Number(more.granted_bytes);
    const [contention] = await findContention(sql, { id });
    if (contention === undefined) throw storageError('file_not_found', 'The file was deleted while it was being uploaded.');
    if (contention.free_bytes === null || Number(contention.free_bytes) > 0) continue; // space has become free since
    if (Number(contention.unused_bytes) < needed || contention.gives_up || !(await budget.wait(signal)))
      throw storageError('quota_exceeded', "The file is larger than what is left of the tenant's quota.");
  }
}
