import { readFile } from 'node:fs/promises';

import { describe, expect, it } from 'vitest';

import { parseConfig } from './config.ts';

const text = await readFile(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');
const rows = Array.from(text.matchAll(/^\| `([A-Z0-9_]+)` \| (.*?) \| .* ?\|$/gm), ([, name = '', value = '']) => [name, value] as const);
const config = parseConfig({}, { cwd: '/srv' });

describe('docs/configuration.md', () => {
  it('has every variable, once', () => {
    expect(rows.map(([name]) => name).toSorted()).toEqual(Object.keys(config.sources).toSorted());
  });

  it('gives defaults that, set explicitly, change nothing', () => {
    // A cell that holds nothing but code is a value.
    const values = rows.flatMap(([name, value]) => Array.from(value.matchAll(/^`([^`]+)`$/g), ([, set = '']) => [name, set] as const));
    expect(values.length).toBeGreaterThan(25);
    const { sources: _set, ...explicit } = parseConfig(Object.fromEntries(values), { cwd: '/srv' });
    const { sources: _unset, ...implicit } = config;
    expect(explicit).toEqual(implicit);
  });

  it('says "none" where there is none', () => {
    const unset = rows.filter(([, value]) => value === 'none').map(([name]) => name);
    expect(unset.toSorted()).toEqual([
      'AUTH_AUDIENCE',
      'AUTH_ISSUER',
      'AUTH_JWKS_FILE',
      'AUTH_JWKS_URL',
      'AUTH_JWT_SECRET',
      'DATABASE_URL',
      'METRICS_PORT',
      'STORAGE_S3_ACCESS_KEY',
      'STORAGE_S3_ENDPOINT',
      'STORAGE_S3_SECRET_KEY',
      'TENANT_ID',
    ]);
  });
});
