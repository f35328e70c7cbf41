import { setTimeout as delay } from 'node:timers/promises';

import { Gauge } from 'prom-client';

import type { MetricRegister } from './register.ts';
import { defaultMaxTenants, labelOfSlug } from './tenant-label.ts';

/** What one tenant stores. */
export interface TenantUsage {
  /** Slug; undefined for all that have none of their own here, which are `other`. */
  readonly tenant: string | undefined;
  readonly bytes: number;
}

/** Where the gauge is mounted, and what it shows. */
export interface TenantUsageGaugeOptions {
  readonly register: MetricRegister;
  /** What each tenant stores; called at every scrape, never twice at once: while it is slow, later scrapes wait for the same answer. */
  readonly collect: () => Promise<Iterable<TenantUsage>>;
  readonly tenants?: {
    /** Tenants that have labels of their own, the largest first; the rest are summed up as `other`. Default 1,000. */
    readonly max?: number;
  };
  /** Seconds that a scrape waits for `collect`. Default 5. */
  readonly timeout?: number;
  /** Told why a scrape has no usage. */
  readonly onError?: (error: unknown) => void;
}

const name = 'storage_tenant_usage_bytes';

/**
 * Adds `storage_tenant_usage_bytes{tenant}` to a register, collected when it is scraped. While `collect` fails or does
 * not answer, the scrape has everything else. On a register that has the gauge already, this one takes its place.
 */
export function tenantUsageGauge(options: TenantUsageGaugeOptions): void {
  const { register, collect, tenants, timeout = 5, onError } = options;
  let refreshing: Promise<void> | undefined;
  let collecting: Promise<Iterable<TenantUsage>> | undefined;

  // Kept until it settles, however long after the scrape that is: a database that is slow gets no second question.
  const collectOnce = (): Promise<Iterable<TenantUsage>> =>
    (collecting ??= (async () => collect())().finally(() => {
      collecting = undefined;
    }));
  const refresh = async (): Promise<void> => {
    try {
      const usage = bounded(await inTime(collectOnce(), timeout), tenants?.max ?? defaultMaxTenants);
      gauge.reset(); // tenants that are gone
      for (const [tenant, bytes] of usage) gauge.set({ tenant }, bytes);
    } catch (error) {
      gauge.reset(); // a gap tells the truth, the last values would not
      onError?.(error);
    }
  };

  register.removeSingleMetric(name);
  const gauge = new Gauge({
    name,
    help: 'Bytes that a tenant stores.',
    labelNames: ['tenant'],
    registers: [register],
    collect: () => {
      refreshing ??= refresh().finally(() => {
        refreshing = undefined;
      });
      return refreshing;
    },
  });
}

/** Bytes by label. */
function bounded(usage: Iterable<TenantUsage>, max: number): Map<string, number> {
  const bySlug = new Map<string, number>();
  let rest: number | undefined;
  for (const { tenant, bytes } of usage) {
    if (tenant === undefined) rest = (rest ?? 0) + bytes;
    else bySlug.set(tenant, (bySlug.get(tenant) ?? 0) + bytes);
  }
  const slugs = bySlug.size <= max ? [...bySlug] : [...bySlug].toSorted(([, a], [, b]) => b - a);
  for (const [, bytes] of slugs.splice(max)) rest = (rest ?? 0) + bytes;
  const byLabel = new Map(slugs.map(([slug, bytes]) => [labelOfSlug(slug), bytes]));
  return rest === undefined ? byLabel : byLabel.set('other', rest);
}

async function inTime<T>(answer: Promise<T>, seconds: number): Promise<T> {
  const timer = new AbortController();
  const late = delay(seconds * 1000, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`The usage of tenants was not there within ${seconds} s.`);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    timer.abort();
  }
}
