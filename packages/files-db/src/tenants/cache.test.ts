import { expect, it } from 'vitest';

import { TenantCache } from './cache.ts';
import type { Tenant } from './tenant.ts';

const tenant = (tenantSlug: string): Tenant => ({ tenantUuid: 'u', tenantSlug, buckets: [], quotaBytes: null, createdAt: new Date(0) });

it('remembers nothing that was being read during a change: it may be older', async () => {
  const cache = new TenantCache(60);
  const read = Promise.withResolvers<Tenant>();
  const reading = cache.get('key', () => read.promise);
  cache.forget('u');
  read.resolve(tenant('former'));
  await reading;
  expect(await cache.get('key', async () => tenant('present'))).toEqual(tenant('present'));
});

it('does not remember a failure', async () => {
  const cache = new TenantCache(60);
  await expect(cache.get('key', () => Promise.reject(new Error('away')))).rejects.toThrow('away');
  expect(await cache.get('key', async () => tenant('present'))).toEqual(tenant('present'));
});

it('remembers so many tenants and no more, those that were read last', async () => {
  const cache = new TenantCache(60, 2);
  const loads: string[] = [];
  const load = (slug: string) => async (): Promise<Tenant> => (loads.push(slug), tenant(slug));
  for (const slug of ['a', 'b', 'c', 'c', 'b', 'a']) await cache.get(slug, load(slug));
  expect(loads).toEqual(['a', 'b', 'c', 'a']);
});
