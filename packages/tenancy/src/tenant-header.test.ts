import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { refusal } from './testing/refusal.ts';
import { assertHeaderNames, decideTenant } from './index.ts';

const acme = { tenantUuid: 'abc-123-def', tenantSlug: 'acme' };

describe('decideTenant', () => {
  it.each([
    [{ role: 'user' }, { kind: 'none' }],
    [
      { role: 'user', claimed: acme },
      { kind: 'claimed', tenant: acme },
    ],
    [
      { role: 'user', claimed: acme, header: 'acme' },
      { kind: 'claimed', tenant: acme, mustMatch: 'acme' },
    ],
    [
      { role: 'user', claimed: acme, header: 'other' },
      { kind: 'claimed', tenant: acme, mustMatch: 'other' },
    ],
    [
      { role: 'service', header: 'other' },
      { kind: 'named', id: 'other' },
    ],
    [
      { role: 'service', claimed: acme, header: 'other' },
      { kind: 'named', id: 'other' },
    ],
    [
      { role: 'admin', claimed: acme, header: 'other' },
      { kind: 'named', id: 'other' },
    ],
    [
      { role: 'admin', claimed: acme },
      { kind: 'claimed', tenant: acme },
    ],
    [{ role: 'admin' }, { kind: 'none' }],
    [
      { role: 'admin', header: '9F1C2B7A-3D4E-4F50-8A6B-7C8D9E0F1A2B' },
      { kind: 'named', id: '9f1c2b7a-3d4e-4f50-8a6b-7c8d9e0f1a2b' },
    ],
  ] as const)('%j -> %j', (ask, decision) => {
    expect(decideTenant(ask)).toEqual(decision);
  });

  it.each([
    [{ role: 'user', header: 'acme' }, 'tenant_mismatch'],
    [{ role: 'service' }, 'tenant_context_required'],
    [{ role: 'service', claimed: acme }, 'tenant_context_required'],
    [{ role: 'admin', header: '' }, 'validation_failed'],
    [{ role: 'service', header: ' ' }, 'validation_failed'],
    [{ role: 'user', claimed: acme, header: 'x'.repeat(129) }, 'tenant_mismatch'],
    [{ role: 'admin', header: 'a\tb' }, 'validation_failed'],
    [{ role: 'admin', header: '\u00ef\u00bb\u00bfacme' }, 'validation_failed'],
  ] as const)('%j -> %s', (ask, code) => {
    expect(refusal(() => decideTenant(ask))).toMatch(new RegExp(`^${code}: `));
  });

  it('names the header where it is malformed', () => {
    const errors = [{ field: 'X-Tenant-ID', message: expect.any(String) }];
    expect(() => decideTenant({ role: 'service', header: '' })).toThrow(expect.objectContaining({ errors }));
  });

  it('never gives a user another tenant than the token has', () => {
    fc.assert(
      fc.property(fc.string(), (header) => {
        const said = refusal(() => decideTenant({ role: 'user', claimed: acme, header }));
        if (typeof said === 'string') expect(said).toMatch(/^tenant_mismatch: /);
        else expect(said).toMatchObject({ returned: { kind: 'claimed', tenant: acme, mustMatch: expect.any(String) as unknown } });
      }),
    );
  });

  it('takes every other role, as applications have them, for a user', () => {
    for (const role of ['editor', 'Admin', '', null, undefined, ['admin']] as never[]) {
      expect(refusal(() => decideTenant({ role, claimed: acme, header: 'other' }))).toMatchObject({
        returned: { kind: 'claimed', tenant: acme, mustMatch: 'other' },
      });
      expect(refusal(() => decideTenant({ role, header: 'other' }))).toMatch(/^tenant_mismatch: /);
      expect(refusal(() => decideTenant({ role, header: '' }))).toMatch(/^tenant_mismatch: /);
    }
  });

  it('reads a slug of another script as clients send it: UTF-8, one character per byte', () => {
    const header = Buffer.from('東京').toString('latin1');
    expect(decideTenant({ role: 'admin', header })).toEqual({ kind: 'named', id: '東京' });
    expect(decideTenant({ role: 'admin', header: 'Ã©東' })).toEqual({ kind: 'named', id: 'Ã©東' });
    expect(decideTenant({ role: 'admin', header: 'caf\u00e9' })).toEqual({ kind: 'named', id: 'caf\u00e9' });
  });
});

describe('assertHeaderNames', () => {
  const uuid = '9F1C2B7A-3D4E-4F50-8A6B-7C8D9E0F1A2B';
  const claimed = { tenantUuid: uuid.toLowerCase(), tenantSlug: 'Former' };
  const refusalOf = (mustMatch?: string): unknown =>
    refusal(() =>
      assertHeaderNames(
        { kind: 'claimed', tenant: claimed, ...(mustMatch !== undefined && { mustMatch }) },
        { ...claimed, tenantSlug: 'Acme' },
      ),
    );

  it.each([undefined, uuid, uuid.toLowerCase(), 'Acme', 'Former'])('%s names the tenant', (id) => {
    expect(refusalOf(id)).toEqual({ returned: undefined });
  });
  it.each(['acme', uuid.slice(1), ''])('"%s" does not', (id) => {
    expect(refusalOf(id)).toMatch(/^tenant_mismatch: /);
  });
});
