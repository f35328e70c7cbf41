/** The `tenant` label of a call made for the tenant of this slug. */
export type TenantLabel = (slug: string | undefined) => string;

/** Distinct tenants that are told apart unless an option says otherwise. */
export const defaultMaxTenants = 1000;

/**
 * Labels for at most `max` tenants, first come first served: `none` without one, `other` for those past the limit.
 * Each tenant is dozens of time series, here and in Prometheus, so their number has to be bounded.
 */
export function tenantLabel(max: number = defaultMaxTenants): TenantLabel {
  const known = new Set<string>();
  return (slug) => {
    if (slug === undefined || slug === '') return 'none';
    if (known.has(slug)) return labelOfSlug(slug);
    if (known.size >= max) return 'other';
    known.add(slug);
    return labelOfSlug(slug);
  };
}

/** The slug, but for those that would be taken for the labels of no tenant and of all others: `tenant:none`, `tenant:other`. */
export function labelOfSlug(slug: string): string {
  // What is so named itself gives way as well, so that no two slugs have one label.
  return /^(?:tenant:)*(?:none|other)$/.test(slug) ? `tenant:${slug}` : slug;
}
