import { storageError } from '@coffer/storage-core';
import type { TenantContext } from '@coffer/storage-core';
import type { Sql } from 'postgres';

import { findQuota, insertFile, reserveFile } from './file-statements.ts';
import type { NewFileRow } from './file-statements.ts';
import { resolveTenant } from './tenant-rows.ts';

export interface Reservation {
  /** Bytes that are reserved. */
  readonly granted: number;
  /** Whether more than that is over the quota; false without a quota. */
  readonly limited: boolean;
}

/**
 * Writes a pending file, with space for it reserved before any byte of it is taken or asked for.
 * @param ask `bytes` is what it may need, `least` what has to be free for it to begin
 * @throws quota_exceeded, tenant_not_found, tenant_mismatch
 */
export async function reserve(
  sql: Sql,
  row: NewFileRow,
  ask: { readonly tenant: TenantContext | undefined; readonly bytes: number; readonly least: number },
): Promise<Reservation> {
  const { tenant, bytes, least } = ask;
  if (tenant === undefined) {
    await insertFile(sql, row);
    return { granted: bytes, limited: false };
  }
  const parameters = { ...row, tenant: tenant.tenantUuid, asked: bytes, least };
  for (;;) {
    const [granted] = await reserveFile(sql, parameters);
    if (granted !== undefined) return { granted: Number(granted.granted_bytes), limited: granted.limited };
    const [quota] = await findQuota(sql, { tenant: tenant.tenantUuid });
    if (quota?.closed === true) throw storageError('tenant_not_found', 'The tenant is being deleted.');
    if (quota !== undefined) {
      throw storageError('quota_exceeded', `The file is larger than what is left of the tenant's quota: ${quota.free_bytes ?? 0} bytes.`);
    }
    await resolveTenant(sql, tenant); // throws, or the tenant is there now
  }
}
