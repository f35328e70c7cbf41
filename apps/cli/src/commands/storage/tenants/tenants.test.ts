import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { testDatabase } from '@coffer/fixtures';
import type { TestDatabase } from '@coffer/fixtures';
import { createRuntime, parseConfig } from '@coffer/runtime';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { Cli } from '../../../testing/cli.ts';
import type { Ended } from '../../../testing/cli.ts';
import { describeStores, localBench } from '../../../testing/stores.ts';
import type { Bench } from '../../../testing/stores.ts';

const uuid = 'b1946ac9-2492-4d23-8f5c-6a3f0a1c9e55';
const other = '7c9e6679-7425-40de-944b-e07fc1f90ae7';

describe('tenants', () => {
  let cli: Cli;
  let bench: Bench & { close(): Promise<void> };
  let database: TestDatabase;
  const tenants = (...args: readonly string[]): Promise<Ended> => bench.coffer(['tenants', ...args], { DATABASE_URL: database.url });
  beforeAll(async () => {
    cli = await Cli.build();
  });
  beforeEach(async () => {
    [bench, database] = [await localBench(cli), await testDatabase()];
  });
  afterEach(async () => {
    await bench.close();
    await database.drop();
  });

  it('registers a pair once, and says so when it is there', async () => {
    const first = await tenants('create', uuid, 'acme', '--quota', '1000', '--json');
    expect(first).toMatchObject({ code: 0, stderr: '' });
    const tenant = { tenant_uuid: uuid, tenant_slug: 'acme', buckets: [], quota_bytes: 1000 };
    expect(first.json).toEqual({ ...tenant, created_at: expect.stringMatching(/Z$/) as string, created: true });
    const again = await tenants('create', uuid.toUpperCase(), 'acme', '--quota', '5', '--json');
    expect(again).toMatchObject({ code: 0, stderr: 'The tenant is already registered; its quota stays 1000 B.\n' });
    expect(again.json).toEqual({ ...first.json, created: false });
    for (const pair of [
      [uuid, 'acme-two'],
      [other, 'acme'],
    ])
      expect(await tenants('create', ...pair)).toMatchObject({ code: 1, stderr: expect.stringMatching(/^tenant_conflict: /) as string });
  });

  it('lists them, as a table or a document', async () => {
    expect(await tenants('list')).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect((await tenants('list', '--json')).json).toEqual({ tenants: [] });
    await tenants('create', uuid, 'acme');
    await tenants('create', other, 'globex', '--quota', '2048');
    const { stdout } = await tenants('list');
    expect(stdout.split('\n').map((line) => line.replaceAll(/ {2,}/g, '  ').replace(/\S+Z$/, 'TIME'))).toEqual([
      'UUID  SLUG  BUCKETS  QUOTA  CREATED',
      `${other}  globex  -  2.00 KiB  TIME`,
      `${uuid}  acme  -  none  TIME`,
      '',
    ]);
    expect((await tenants('list', '--json')).json.tenants).toMatchObject([
      { tenant_slug: 'globex' },
      { tenant_slug: 'acme', quota_bytes: null },
    ]);
  });

  it('tells what a tenant stores, by its uuid or slug', async () => {
    await tenants('create', uuid, 'acme');
    const env = { ...bench.env, DATABASE_URL: database.url };
    const { files, close } = await createRuntime(parseConfig(env, { serve: false }));
    const tenantContext = { tenantUuid: uuid, tenantSlug: 'acme' };
    await files.uploadFile({ body: 'Hello', filename: 'a', ownerId: 'ann', tenantContext });
    await close();
    for (const id of [uuid, 'acme']) expect((await tenants('usage', id, '--json')).json).toEqual({ bytes: 5, files: 1, quota_bytes: null });
    expect((await tenants('usage', 'acme')).stdout).toBe('files  1 file\nbytes  5 B\nquota  none\n');
    expect(await tenants('usage', 'nobody', '--json')).toMatchObject({ code: 1, json: { error: { code: 'tenant_not_found' } } });
  });

  it('lists however many there are', async () => {
    await tenants('list');
    const { database: own, close } = await createRuntime(parseConfig({ ...bench.env, DATABASE_URL: database.url }, { serve: false }));
    await own.sql`insert into tenants (tenant_uuid, tenant_slug) select lpad(n::text, 8, '0'), 't-' || n from generate_series(1, 2500) n`;
    await close();
    const { json } = await tenants('list', '--json');
    expect(json.tenants.map((each: { tenant_slug: string }) => each.tenant_slug)).toEqual(
      Array.from({ length: 2500 }, (_, n) => `t-${n + 1}`),
    );
    expect((await tenants('list')).stdout.trim().split('\n')).toHaveLength(2501);
  });

  it('leaves nothing in the data directory where all is kept elsewhere', async () => {
    const elsewhere = {
      STORAGE_BACKEND: 's3',
      STORAGE_S3_ENDPOINT: 'http://127.0.0.1:1',
      STORAGE_S3_ACCESS_KEY: 'a',
      STORAGE_S3_SECRET_KEY: 's',
    };
    const env = { ...elsewhere, DATABASE_URL: database.url, COFFER_DATA_DIR: join(bench.folder, 'none') };
    expect(await bench.coffer(['tenants', 'create', uuid, 'acme'], env)).toMatchObject({ code: 0, stderr: '' });
    expect(existsSync(env.COFFER_DATA_DIR)).toBe(false);
  });

  it('has nothing to do with TENANT_ID', async () => {
    const env = { DATABASE_URL: database.url, STORAGE_ENABLE_MULTI_TENANCY: 'true', TENANT_ID: 'somebody' };
    expect(await bench.coffer(['tenants', 'create', uuid, 'acme'], env)).toMatchObject({ code: 0, stderr: '' });
    expect((await bench.coffer(['tenants', 'list', '--json'], env)).json.tenants).toHaveLength(1);
  });

  it('tells of arguments that have no meaning', async () => {
    for (const args of [
      ['create', uuid],
      ['create', uuid, 'acme', '--quota', 'much'],
      ['usage'],
      ['create', uuid, 'acme', '--quota', '-1'],
    ])
      expect(await tenants(...args)).toMatchObject({ code: 2, stdout: '' });
    expect(await tenants('create', uuid, 'a\nb')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^validation_failed: /) as string,
    });
  });

  it('needs a database that answers', async () => {
    const ended = await bench.coffer(['tenants', 'list', '--json'], { DATABASE_URL: 'postgres://ann:hidden@127.0.0.1:1/coffer' });
    expect(ended).toMatchObject({ code: 1, json: { error: { code: 'storage_unavailable' } } });
    expect(`${ended.stdout}${ended.stderr}`).not.toContain('hidden');
  });

  it('works on the embedded database, also while a server runs on it', async () => {
    const alone = await bench.coffer(['tenants', 'create', uuid, 'acme']);
    expect(alone).toMatchObject({ code: 0, stderr: '' });
    const isRunning = (): boolean => existsSync(join(bench.env['COFFER_DATA_DIR']!, 'postgres/data/postmaster.pid'));
    expect(isRunning()).toBe(false);
    const noName = { STORAGE_ENABLE_MULTI_TENANCY: 'true', TENANT_ID: ' ' };
    expect(await bench.coffer(['list'], noName)).toMatchObject({ code: 2 });
    expect(isRunning()).toBe(false);
    const server = await createRuntime(parseConfig(bench.env, { serve: false }));
    expect(isRunning()).toBe(true);
    expect((await server.tenants.find('acme')).tenantUuid).toBe(uuid);
    expect(await bench.coffer(['tenants', 'create', other, 'globex'])).toMatchObject({ code: 0, stderr: '' });
    expect((await server.tenants.find('globex')).tenantUuid).toBe(other); // the same server, still running
    await server.close();
  });
});

describeStores('tenants provision', (bench, store) => {
  it("creates and registers a tenant's bucket, and may be repeated", async () => {
    const { storage, env: base, coffer } = bench();
    const database = await testDatabase();
    const env = { ...base, DATABASE_URL: database.url, STORAGE_BUCKET_NAMING_PATTERN: `${bench().bucket}-{tenant_slug}` };
    const bucket = `${bench().bucket}-acme`;
    const refused = await coffer(['tenants', 'provision', uuid], env);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/^tenant_not_found: .*--slug/) as string });
    expect((await coffer(['tenants', 'provision', uuid, '--slug', 'acme', '--json'], env)).json).toEqual({ bucket, status: 'provisioned' });
    for (const id of [uuid, 'acme'])
      expect(await coffer(['tenants', 'provision', id], env)).toMatchObject({ code: 0, stdout: `provisioned ${bucket}\n` });
    expect(await storage.bucketExists(bucket)).toBe(true);
    const conflict = await coffer(['tenants', 'provision', uuid, '--slug', 'globex', '--json'], env);
    expect(conflict).toMatchObject({ code: 1, json: { error: { code: 'tenant_conflict' } } });
    expect((await coffer(['tenants', 'list', '--json'], env)).json.tenants).toMatchObject([{ tenant_uuid: uuid, buckets: [bucket] }]);
    if (store === 'local') {
      const wanted = ['--region', 'eu-west-1', '--acl', 'public-read'];
      expect(await coffer(['tenants', 'provision', other, '--slug', 'globex', ...wanted], env)).toMatchObject({ code: 0 });
      const globex = `${bench().bucket}-globex`;
      expect(await storage.getBucketInfo(globex)).toMatchObject({ region: 'eu-west-1' });
      expect(JSON.stringify(await storage.getBucketAcl(globex))).toContain('AllUsers');
      expect(await coffer(['buckets', 'delete', globex, '--confirm'], env)).toMatchObject({ code: 0 });
    }
    // Deleting a bucket deletes its database records, too.
    expect(await coffer(['buckets', 'delete', bucket, '--confirm'], env)).toMatchObject({ code: 0 });
    const { json } = await coffer(['tenants', 'list', '--json'], env);
    expect(json.tenants).toContainEqual(expect.objectContaining({ tenant_uuid: uuid, buckets: [] }));
    await database.drop();
  });
});
