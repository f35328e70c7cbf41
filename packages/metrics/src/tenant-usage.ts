import { setTimeout as delay } from 'node:timers/promises';

import { Gauge } from 'prom-client';

import type { MetricRegister } from './register.ts';
import { defaultMaxTenants, labelOfSlug } from './tenant-label.ts';

/** How much one tenant stores. */
export interface TenantUsage {
  /** Slug; undefined for the sum of tenants without one here, which counts as `other`. */
  readonly tenant: string | undefined;
  readonly bytes: number;
}

/** Where the gauge is mounted, and what it shows. */
export interface TenantUsageGaugeOptions {
  readonly register: MetricRegister;
  /** What each tenant stores. Called at every scrape, but never twice at once: while a call is slow, later scrapes wait for its answer. */
  readonly collect: () => Promise<Iterable<TenantUsage>>;
  readonly tenants?: {
    /** Number of tenants with their own label, the largest first; the rest are summed up as `other`. Default 1,000. */
    readonly max?: number;
  };
  /** Seconds that a scrape waits for `collect`. Default 5. */
  readonly timeout?: number;
  /** Told why a scrape has no usage. */
  readonly onError?: (error: unknown) => void;
}

const name = 'storage_tenant_usage_bytes';

/**
 * Adds `storage_tenant_usage_bytes{tenant}` to a register, collected at each scrape. While `collect` fails or does not answer, the scrape
 * still has everything else. If the register already has the gauge, this one replaces it.
 */
export function tenantUsageGauge(options: TenantUsageGaugeOptions): void {
  const { register, collect, tenants, timeout = 5, onError } = options;
  let collecting: Promise<Iterable<TenantUsage>> | undefined;

  // Kept until it settles, however long after the scrape: a slow database gets no second query.
  const collectOnce = (): Promise<Iterable<TenantUsage>> =>
    (collecting ??= collect().finally(() => {
      collecting = undefined;
    }));
  const refresh = async (): Promise<void> => {
    try {
      const usage = bytesByLabel(await withTimeout(collectOnce(), timeout), tenants?.max ?? defaultMaxTenants);
      gauge.reset(); // drop tenants that are gone
      for (const [tenant, bytes] of usage) gauge.set({ tenant }, bytes);
    } catch (error) {
      gauge.reset(); // a gap tells the truth, stale values would not
      onError?.(error);
    }
  };

  register.removeSingleMetric(name);
  const gauge = new Gauge({
    name,
    help: 'Bytes that a tenant stores.',
    labelNames: ['tenant'],
    registers: [register],
    collect: refresh,
  });
}

/** Bytes by label. */
function bytesByLabel(usage: Iterable<TenantUsage>, max: number): Map<string, number> {
  const bySlug = new Map<string, number>();
  let otherBytes: number | undefined;
  for (const { tenant, bytes } of usage) {
    if (tenant === undefined) otherBytes = (otherBytes ?? 0) + bytes;
    else bySlug.set(tenant, (bySlug.get(tenant) ?? 0) + bytes);
  }
  const slugs = bySlug.size <= max ? [...bySlug] : [...bySlug].toSorted(([, a], [, b]) => b - a);
  for (const [, bytes] of slugs.splice(max)) otherBytes = (otherBytes ?? 0) + bytes;
  const byLabel = new Map(slugs.map(([slug, bytes]) => [labelOfSlug(slug), bytes]));
  return otherBytes === undefined ? byLabel : byLabel.set('other', otherBytes);
}

async function withTimeout<T>(answer: Promise<T>, seconds: number): Promise<T> {
  const timer = new AbortController();
  const timedOut = delay(seconds * 1000, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`The usage of tenants was not there within ${seconds} s.`);
  });
  try {
    return await Promise.race([answer, timedOut]);
  } finally {
    timer.abort();
  }
}
