import { storageError } from './errors.ts';

/** Who a call is made for. The uuid is the identity; the slug is the readable name. */
export interface TenantContext {
  /** The identity: 1 to 128 characters; a real UUID in either case. */
  readonly tenantUuid: string;
  /** 1 to 128 characters; may change. */
  readonly tenantSlug: string;
  /** Anything else known about the tenant; it decides nothing. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** Travels with every call; it never decides what is done. */
export interface CallContext {
  /** The label under which the call is counted and logged: the tenant's slug. */
  readonly tenant?: string;
  /** Aborting it cancels the call and everything it has in progress. */
  readonly signal?: AbortSignal;
  /** For logs and observers. */
  readonly requestId?: string;
}

/**
 * Plain JavaScript may pass null, or a controller instead of its signal: found out half-way, each backend would leave something else behind.
 * @throws invalid_argument
 */
export function assertContext(ctx: { readonly signal?: AbortSignal | undefined }): void {
  if (typeof ctx !== 'object' || ctx === null)
    throw storageError('invalid_argument', 'The call context must be an object, such as { signal }.');
  const { signal } = ctx;
  // Not instanceof: test environments and other realms bring their own class.
  if (signal !== undefined && typeof (signal as Partial<AbortSignal> | null)?.throwIfAborted !== 'function')
    throw storageError('invalid_argument', 'The signal of a call must be an AbortSignal; leave it out if there is none.');
}

/** Null, as from a look-up in vain, would pass for a tenant in one place and for none in the next. @throws invalid_argument */
export function assertTenant(tenant: TenantContext | undefined): void {
  if (tenant !== undefined && (typeof tenant !== 'object' || tenant === null))
    throw storageError(
      'invalid_argument',
      'The tenant of a call must be an object with tenantUuid and tenantSlug; leave it out if there is none.',
    );
}

/** A call that nobody cancels and that has no label. */
export const noContext: CallContext = Object.freeze({});
