import { readFile } from 'node:fs/promises';

import { describe, expect, it } from 'vitest';

import { parseConfig } from './config.ts';
import { describeConfig } from './describe-config.ts';
import type { DescribedVariable } from './describe-config.ts';
import type { Env } from './env-reader.ts';

const config = (env: Env = {}): ReturnType<typeof parseConfig> => parseConfig(env, { cwd: '/srv/app', serve: false });
const describedBy = (env: Env = {}): Readonly<Record<string, DescribedVariable>> =>
  Object.fromEntries(describeConfig(config(env)).flatMap(({ variables }) => variables.map((variable) => [variable.name, variable])));

describe('describeConfig', () => {
  it('has every variable, in the groups and the order of docs/configuration.md', async () => {
    const document = await readFile(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');
    const text = document.slice(0, document.indexOf('\n## Other variables\n'));
    const documented = Array.from(text.matchAll(/^## (.+)$|^\| `([A-Z0-9_]+)` \|/gm), ([, title, name]) => title ?? name);
    const groups = describeConfig(config());
    expect(groups.flatMap(({ title, variables }) => [title, ...variables.map(({ name }) => name)])).toEqual(documented);
  });

  it('tells what is set from defaults and from what follows from others', () => {
    const { HOST, PORT, PUBLIC_URL, STORAGE_LOCAL_PATH, STORAGE_BUCKET, STORAGE_S3_ENDPOINT } = describedBy({ HOST: '127.0.0.2' });
    expect(HOST).toEqual({ name: 'HOST', value: '127.0.0.2', source: 'environment' });
    expect(PORT).toEqual({ name: 'PORT', value: 8080, source: 'default' });
    expect(PUBLIC_URL).toEqual({ name: 'PUBLIC_URL', value: 'http://127.0.0.2:8080', source: 'derived', from: ['HOST', 'PORT'] });
    expect(STORAGE_LOCAL_PATH).toMatchObject({ value: '/srv/app/.coffer/objects', source: 'derived', from: ['COFFER_DATA_DIR'] });
    expect(STORAGE_BUCKET).toMatchObject({ value: 'coffer-uploads', source: 'derived', from: ['STORAGE_BACKEND'] });
    expect(STORAGE_S3_ENDPOINT).toEqual({ name: 'STORAGE_S3_ENDPOINT', value: undefined, source: 'default' });
  });

  it('has the values in effect, not those that were asked for', () => {
    const { STORAGE_PRESIGN_EXPIRES, STORAGE_RETRY_MODE } = describedBy({
      STORAGE_PRESIGN_EXPIRES: '9999999',
      STORAGE_RETRY_MODE: 'legacy',
    });
    expect(STORAGE_PRESIGN_EXPIRES).toMatchObject({ value: 604_800, source: 'environment' });
    expect(STORAGE_RETRY_MODE).toMatchObject({ value: 'standard', source: 'environment' });
  });

  it('holds no secret', () => {
    const secrets = {
      STORAGE_S3_ACCESS_KEY: 'AKIASECRETSECRET',
      STORAGE_S3_SECRET_KEY: 'a-secret-of-the-provider',
      AUTH_JWT_SECRET: 'a-secret-of-at-least-thirty-two-bytes',
      DATABASE_URL: 'postgres://coffer:a-secret-password@db.example.com/coffer?password=a-secret-too',
      STORAGE_ACME_TOKEN: 'a-secret-of-the-backend',
    };
    const groups = describeConfig(config({ ...secrets, STORAGE_BACKEND: '@acme/backend', STORAGE_BUCKET: 'acme' }));
    expect(JSON.stringify(groups)).not.toMatch(/secretsecret|a-secret/i);
    expect(groups.at(-1)).toEqual({
      title: "The backend's own",
      variables: [{ name: 'STORAGE_ACME_TOKEN', value: '[set]', source: 'environment' }],
    });
  });
});
