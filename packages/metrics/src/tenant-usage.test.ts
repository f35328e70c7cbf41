import { setTimeout as delay } from 'node:timers/promises';

import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';

import { prometheusObserver, tenantUsageGauge } from './index.ts';
import type { TenantUsage } from './index.ts';

async function usageIn(register: Registry): Promise<string[]> {
  const text = await register.metrics();
  return text.split('\n').filter((line) => line.startsWith('storage_tenant_usage_bytes{'));
}

describe('tenantUsageGauge', () => {
  it('collects at every scrape, and forgets tenants that are gone', async () => {
    const register = new Registry();
    let usage: TenantUsage[] = [
      { tenant: 'acme', bytes: 10 },
      { tenant: 'beta', bytes: 0 },
    ];
    tenantUsageGauge({ register, collect: async () => usage });
    expect(await usageIn(register)).toEqual([
      'storage_tenant_usage_bytes{tenant="acme"} 10',
      'storage_tenant_usage_bytes{tenant="beta"} 0',
    ]);
    usage = [{ tenant: 'beta', bytes: 5 }];
    expect(await usageIn(register)).toEqual(['storage_tenant_usage_bytes{tenant="beta"} 5']);
  });

  it('sums up what is past the limit, the largest tenants keep their labels', async () => {
    const register = new Registry();
    const collect = async (): Promise<TenantUsage[]> => Array.from({ length: 1200 }, (_, index) => ({ tenant: `t${index}`, bytes: index }));
    tenantUsageGauge({ register, collect });
    const lines = await usageIn(register);
    expect(lines).toHaveLength(1001);
    expect(lines).toContain('storage_tenant_usage_bytes{tenant="t1199"} 1199');
    expect(lines).toContain('storage_tenant_usage_bytes{tenant="t200"} 200');
    expect(lines).toContain(`storage_tenant_usage_bytes{tenant="other"} ${(199 * 200) / 2}`);
    tenantUsageGauge({ register, collect, tenants: { max: 1 } });
    expect(await usageIn(register)).toEqual([
      'storage_tenant_usage_bytes{tenant="t1199"} 1199',
      `storage_tenant_usage_bytes{tenant="other"} ${(1198 * 1199) / 2}`,
    ]);
  });

  it('keeps a tenant with the slug other or none apart from those labels', async () => {
    const register = new Registry();
    const collect = async (): Promise<TenantUsage[]> => [
      { tenant: 'other', bytes: 3 },
      { tenant: 'none', bytes: 1 },
      { tenant: undefined, bytes: 5 },
      { tenant: 'none', bytes: 1 },
      { tenant: undefined, bytes: 4 },
      { tenant: 'small', bytes: 1 },
    ];
    tenantUsageGauge({ register, collect, tenants: { max: 2 } });
    expect(await usageIn(register)).toEqual([
      'storage_tenant_usage_bytes{tenant="tenant:other"} 3',
      'storage_tenant_usage_bytes{tenant="tenant:none"} 2',
      'storage_tenant_usage_bytes{tenant="other"} 10',
    ]);
  });

  it('leaves the scrape whole while collecting fails, at once or later', async () => {
    const register = new Registry();
    const errors: unknown[] = [];
    let answer: () => Promise<TenantUsage[]> = async () => [{ tenant: 'acme', bytes: 1 }];
    prometheusObserver({ register }).transfer?.({ direction: 'upload', backend: 'local', bytes: 7 });
    tenantUsageGauge({ register, collect: () => answer(), onError: (error) => errors.push(error) });
    expect(await usageIn(register)).toHaveLength(1);

    answer = () => {
      throw new Error('at once');
    };
    expect(await usageIn(register)).toEqual([]);
    answer = async () => {
      throw new Error('later');
    };
    expect(await register.metrics()).toContain('storage_upload_bytes_total{backend="local",tenant="none"} 7');
    answer = async () => [{ tenant: 'acme', bytes: 'many' as unknown as number }];
    expect(await usageIn(register)).toEqual([]);
    expect(errors.map(String)).toEqual(['Error: at once', 'Error: later', expect.stringContaining('not a valid number')]);

    answer = async () => [{ tenant: 'acme', bytes: 2 }];
    expect(await usageIn(register)).toEqual(['storage_tenant_usage_bytes{tenant="acme"} 2']);
  });

  it('does not wait for ever', async () => {
    const register = new Registry();
    const errors: unknown[] = [];
    tenantUsageGauge({ register, collect: () => new Promise(() => undefined), timeout: 0.05, onError: (error) => errors.push(error) });
    expect(await usageIn(register)).toEqual([]);
    expect(String(errors)).toContain('was not there within 0.05 s');
  });

  it('collects once for scrapes at the same time', async () => {
    const register = new Registry();
    let calls = 0;
    const collect = (): Promise<TenantUsage[]> => delay(20, [{ tenant: 'acme', bytes: ++calls }]);
    tenantUsageGauge({ register, collect });
    const scrapes = await Promise.all([usageIn(register), usageIn(register), usageIn(register)]);
    expect(new Set(scrapes.flat())).toEqual(new Set(['storage_tenant_usage_bytes{tenant="acme"} 1']));
    expect(await usageIn(register)).toEqual(['storage_tenant_usage_bytes{tenant="acme"} 2']);
  });

  it('never collects twice at once, however slow it is, and shows what was slow when it comes', async () => {
    const register = new Registry();
    const { promise: answer, resolve } = Promise.withResolvers<TenantUsage[]>();
    let calls = 0;
    const collect = (): Promise<TenantUsage[]> => {
      calls += 1;
      return calls === 1 ? answer : Promise.resolve([{ tenant: 'acme', bytes: calls }]);
    };
    const errors: unknown[] = [];
    tenantUsageGauge({ register, collect, timeout: 0.02, onError: (error) => errors.push(error) });
    for (let scrape = 0; scrape < 5; scrape++) expect(await usageIn(register)).toEqual([]);
    expect([calls, errors.length]).toEqual([1, 5]);
    const waiting = usageIn(register);
    resolve([{ tenant: 'acme', bytes: 100 }]);
    expect(await waiting).toEqual(['storage_tenant_usage_bytes{tenant="acme"} 100']);
    expect(await usageIn(register)).toEqual(['storage_tenant_usage_bytes{tenant="acme"} 2']);
  });

  it('mounted again, the later one counts', async () => {
    const register = new Registry();
    tenantUsageGauge({ register, collect: async () => [{ tenant: 'old', bytes: 1 }] });
    tenantUsageGauge({ register, collect: async () => [{ tenant: 'new', bytes: 2 }] });
    expect(await usageIn(register)).toEqual(['storage_tenant_usage_bytes{tenant="new"} 2']);
  });
});
