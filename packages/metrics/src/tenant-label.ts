/** The `tenant` label for a call made for the tenant with this slug. */
export type TenantLabel = (slug: string | undefined) => string;

/** How many tenants get their own label unless an option says otherwise. */
export const defaultMaxTenants = 1000;

/**
 * Labels for at most `max` tenants, first come, first served: `none` without a tenant, `other` for tenants past the limit. Each tenant adds
 * dozens of time series, here and in Prometheus, so their number must be bounded.
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

/** The slug, except that those which look like the labels for no tenant and for all others become `tenant:none` and `tenant:other`. */
export function labelOfSlug(slug: string): string {
  // Slugs that already have that form get the prefix as well, so that no two slugs share a label.
  return /^(?:tenant:)*(?:none|other)$/.test(slug) ? `tenant:${slug}` : slug;
}
