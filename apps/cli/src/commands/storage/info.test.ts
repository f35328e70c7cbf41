import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';

import { Cli } from '../../testing/cli.ts';
import { localBench } from '../../testing/stores.ts';
import type { Bench } from '../../testing/stores.ts';

let cli: Cli;
let bench: Bench & { close(): Promise<void> };
beforeAll(async () => {
  cli = await Cli.build();
});
beforeEach(async () => {
  bench = await localBench(cli);
});
afterEach(() => bench.close());

// Nothing listens there.
const s3 = { STORAGE_BACKEND: 's3', STORAGE_S3_ENDPOINT: 'http://127.0.0.1:1', DATABASE_URL: 'postgres://ann:hidden@127.0.0.1:1/coffer' };

it('shows every variable, its value and where that comes from', async () => {
  const ended = await bench.coffer(['info'], { STORAGE_TIMEOUT: '7' });
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  expect(ended.stdout).toMatch(/^VARIABLE +VALUE +SOURCE\n\nServer\nHOST +127\.0\.0\.1 +default\n/);
  expect(ended.stdout).toMatch(/^STORAGE_TIMEOUT +7 +set$/m);
  expect(ended.stdout).toMatch(/^STORAGE_LOCAL_PATH +\/.*\/data\/objects +from COFFER_DATA_DIR$/m);
  expect(ended.stdout).toMatch(/^STORAGE_S3_ENDPOINT +- +default$/m);
});

it('connects to nothing, and shows no secret', async () => {
  const env = {
    ...s3,
    STORAGE_S3_ACCESS_KEY: 'AKIAhidden',
    STORAGE_S3_SECRET_KEY: 'hidden-key',
    AUTH_JWT_SECRET: 'hidden-secret-of-more-than-32-bytes',
  };
  const [text, json] = [await bench.coffer(['info'], env), await bench.coffer(['info', '--json'], env)];
  expect(text).toMatchObject({ code: 0, stderr: '' });
  expect(`${text.stdout}${json.stdout}`).not.toContain('hidden');
  expect(json.json.variables).toMatchObject({
    STORAGE_S3_SECRET_KEY: { value: '[set]', source: 'environment' },
    STORAGE_S3_PUBLIC_ENDPOINT: { value: 'http://127.0.0.1:1', source: 'derived', from: ['STORAGE_S3_ENDPOINT'] },
    DATABASE_URL: { value: 'postgres://ann:***@127.0.0.1:1/coffer', source: 'environment' },
    METRICS_PORT: { value: null, source: 'default' },
    STORAGE_CORS_ORIGINS: { value: ['*'], source: 'default' },
  });
});

it('warns of settings that are probably mistakes', async () => {
  const env = { STORAGE_PRESIGN_EXPIRES: '999999', STORAGE_BUCKETT: 'x' };
  const warnings = [
    'STORAGE_PRESIGN_EXPIRES is clamped to 604800 seconds (7 days).',
    'STORAGE_BUCKETT is no variable of Coffer; did you mean STORAGE_BUCKET?',
  ];
  expect((await bench.coffer(['info'], env)).stderr).toBe(warnings.map((each) => `warning: ${each}\n`).join(''));
  const { json, stderr } = await bench.coffer(['info', '--json'], env);
  expect(json.warnings).toEqual(warnings);
  expect(stderr).toBe('');
});

it('names every mistake, and no value', async () => {
  const ended = await bench.coffer(['info', '--json'], { STORAGE_TIMEOUT: 'hidden', STORAGE_BACKEND: 'gcs' });
  expect(ended.code).toBe(2);
  expect(ended.json.error.code).toBe('configuration');
  expect(ended.stderr).toMatch(/STORAGE_TIMEOUT: .*\n {2}STORAGE_BACKEND: |STORAGE_BACKEND: .*\n {2}STORAGE_TIMEOUT: /);
  expect(ended.stderr).not.toContain('hidden');
});
