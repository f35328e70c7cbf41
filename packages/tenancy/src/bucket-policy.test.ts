import { isStorageError } from '@coffer/storage-core';
import { describe, expect, it } from 'vitest';

import { chooseBucket, tenantBucketResolver } from './index.ts';
import type { BucketPolicy } from './index.ts';

const single: BucketPolicy = {
  multiTenancy: false,
  pattern: '{tenant_slug}-uploads',
  requireTenantContext: false,
  sharedBucket: 'staging-uploads',
  defaultBucket: 'coffer-uploads',
};
const multi: BucketPolicy = { ...single, multiTenancy: true };
const tenant = { tenantUuid: 'abc-123-def', tenantSlug: 'acme' };

function outcome(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    if (!isStorageError(error)) throw error;
    return error.code;
  }
}

describe('chooseBucket', () => {
  it.each([
    ['named', multi, { explicit: 'named', tenant, mapped: 'mapped' }, { bucket: 'named', because: 'explicit' }],
    [
      'named though a tenant is required',
      { ...multi, requireTenantContext: true },
      { explicit: 'named' },
      { bucket: 'named', because: 'explicit' },
    ],
    ['recorded', multi, { tenant, mapped: 'mapped' }, { bucket: 'mapped', because: 'tenant_mapping' }],
    ['by pattern', multi, { tenant }, { bucket: 'acme-uploads', because: 'tenant_pattern' }],
    ['shared', multi, {}, { bucket: 'staging-uploads', because: 'shared' }],
    ['default', single, {}, { bucket: 'coffer-uploads', because: 'default' }],
    ['default for tenants too', single, { tenant, mapped: 'mapped' }, { bucket: 'coffer-uploads', because: 'default' }],
    ['none: a tenant is required', { ...multi, requireTenantContext: true }, {}, 'tenant_context_required'],
    ['none: a tenant is required, single', { ...single, requireTenantContext: true }, {}, 'tenant_context_required'],
    [
      'none: no shared bucket',
      { multiTenancy: true, pattern: multi.pattern, requireTenantContext: false, defaultBucket: 'x-uploads' },
      {},
      'storage_not_configured',
    ],
    ['none: no default bucket', { multiTenancy: false, pattern: multi.pattern, requireTenantContext: false }, {}, 'storage_not_configured'],
  ] as const)('%s', (_name, policy, ask, expected) => {
    expect(outcome(() => chooseBucket(policy, ask))).toEqual(expected);
  });

  it('says what to set when nothing resolves', () => {
    const { sharedBucket: _shared, defaultBucket: _default, ...bare } = multi;
    expect(() => chooseBucket(bare, {})).toThrow('STORAGE_SHARED_BUCKET');
    expect(() => chooseBucket({ ...bare, multiTenancy: false }, {})).toThrow('STORAGE_BUCKET');
  });

  it.each(['staging', 'coffer'])('keeps the tenant "%s" out of the shared and the default bucket', (tenantSlug) => {
    const { bucket } = chooseBucket(multi, { tenant: { tenantUuid: 'u', tenantSlug } });
    expect(bucket).toMatch(new RegExp(`^${tenantSlug}-[0-9a-f]{16}-uploads$`));
  });
});

describe('tenantBucketResolver', () => {
  it('asks for the recorded bucket only where it can count', async () => {
    const asked: string[] = [];
    const record = async ({ tenantSlug }: typeof tenant): Promise<string | undefined> => {
      asked.push(tenantSlug);
      return tenantSlug === 'acme' ? 'recorded' : undefined;
    };
    const resolve = tenantBucketResolver(multi, record);
    expect(await resolve({ tenant })).toEqual({ bucket: 'recorded', because: 'tenant_mapping' });
    expect(await resolve({ tenant: { tenantUuid: 'b', tenantSlug: 'beta' } })).toEqual({
      bucket: 'beta-uploads',
      because: 'tenant_pattern',
    });
    expect(await resolve({ bucket: 'named', tenant })).toEqual({ bucket: 'named', because: 'explicit' });
    expect(await resolve({})).toEqual({ bucket: 'staging-uploads', because: 'shared' });
    expect(await tenantBucketResolver(single, record)({ tenant })).toEqual({ bucket: 'coffer-uploads', because: 'default' });
    expect(asked).toEqual(['acme', 'beta']);
  });

  it('refuses a wrong pattern at once', () => {
    expect(outcome(() => tenantBucketResolver({ ...multi, pattern: 'uploads' }))).toBe('storage_not_configured');
  });
});
