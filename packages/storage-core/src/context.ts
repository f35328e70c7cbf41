/** Who a call is made for. The uuid is the identity; the slug is the readable name. */
export interface TenantContext {
  readonly tenantUuid: string;
  readonly tenantSlug: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** Travels beside every call; it never decides what is done. */
export interface CallContext {
  /** The label under which the call is counted and logged: a tenant's slug. */
  readonly tenant?: string;
  /** Aborting it cancels the call and everything it has under way. */
  readonly signal?: AbortSignal;
  readonly requestId?: string;
}

export const noContext: CallContext = Object.freeze({});
