import type { TenantContext } from '@coffer/storage-core';
import type { Role } from '@coffer/tenancy';

/** Who a verified token speaks for. */
export interface Identity {
  readonly subject: string;
  readonly role: Role;
  /** The tenant that the token names; not looked up yet. */
  readonly claimed: TenantContext | undefined;
}
