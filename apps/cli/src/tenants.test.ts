import { randomUUID } from 'node:crypto';

import { testDatabase } from '@coffer/fixtures';
import { createRuntime, parseConfig } from '@coffer/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { Cli } from './testing/cli.ts';
import { putFiles } from './testing/files.ts';
import { localBench } from './testing/stores.ts';

const tenancy = { STORAGE_ENABLE_MULTI_TENANCY: 'true' };

describe('TENANT_ID', () => {
  let cli: Cli;
  let bench: Awaited<ReturnType<typeof localBench>>;
  beforeAll(async () => {
    cli = await Cli.build();
    bench = await localBench(cli);
    await putFiles(bench.folder, { 'file.pdf': 'text' });
  });
  afterAll(async () => {
    await bench.close();
  });

  it('without a database, is a slug from which the bucket name is made', async () => {
    const ended = await bench.coffer(['upload', 'file.pdf', '--explain', '--json'], { ...tenancy, TENANT_ID: 'acme-123' });
    expect(ended).toMatchObject({ code: 0, json: { uploaded: [{ bucket: 'acme-123-uploads' }] } });
    expect(ended.stderr).toBe(
      'note: no tenant "acme-123" is registered; using it as a slug.\n' +
        'bucket acme-123-uploads: made from the tenant acme-123 (TENANT_ID) by STORAGE_BUCKET_NAMING_PATTERN ({tenant_slug}-uploads).\n',
    );
  });

  it('is registered in a database: by uuid or slug, with the bucket that it has there', async () => {
    const database = await testDatabase();
    const env = { ...bench.env, ...tenancy, DATABASE_URL: database.url };
    const tenantUuid = randomUUID();
    const runtime = await createRuntime(parseConfig(env, { serve: false }));
    await runtime.tenantService.provision(tenantUuid, { tenantSlug: 'first' });
    await runtime.tenants.update(tenantUuid, { tenantSlug: 'second' });
    await runtime.close();

    for (const id of [tenantUuid, tenantUuid.toUpperCase(), 'second']) {
      const ended = await bench.coffer(['list', '--explain'], { ...env, TENANT_ID: id });
      expect(ended).toMatchObject({
        code: 0,
        stdout: '',
        stderr: `bucket first-uploads: registered for the tenant ${id} (TENANT_ID).\n`,
      });
    }
    // A stranger with its old slug must not get into its bucket.
    const old = await bench.coffer(['list'], { ...env, TENANT_ID: 'first' });
    expect(old.code).toBe(1);
    expect(old.stderr).toContain('tenant_conflict: ');
    const unknown = await bench.coffer(['list'], { ...env, TENANT_ID: 'nobody' });
    expect(unknown).toMatchObject({ code: 0, stderr: 'note: no tenant "nobody" is registered; using it as a slug.\n' });
    const look = await createRuntime(parseConfig(env, { serve: false }));
    expect((await look.tenants.list()).tenants).toHaveLength(1); // the lookups registered nobody
    await look.close();
    await database.drop();
  });

  it('may be registered after the first upload: then "provision", which the refusal names, gives it the bucket', async () => {
    const database = await testDatabase();
    const env = { ...tenancy, DATABASE_URL: database.url, TENANT_ID: 'late' };
    await bench.coffer(['upload', 'file.pdf'], env);
    await bench.coffer(['tenants', 'create', randomUUID(), 'late'], env);
    const refused = await bench.coffer(['list'], env);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/^tenant_conflict: .*"late-uploads" holds objects .* by provisioning the tenant's storage\.\n$/);
    expect(await bench.coffer(['tenants', 'provision', 'late'], env)).toMatchObject({ code: 0 });
    expect((await bench.coffer(['list'], env)).stdout).toContain('file.pdf');
    await database.drop();
  });

  it('means nothing to a command that names a bucket, or where there is one bucket for all', async () => {
    expect(await bench.coffer(['list', '--bucket', bench.bucket], { ...tenancy, TENANT_ID: 'acme' })).toMatchObject({
      code: 0,
      stderr: '',
    });
    expect((await bench.coffer(['list', '--explain'], { TENANT_ID: 'acme' })).stderr).toMatch(/since STORAGE_ENABLE_MULTI_TENANCY is off/);
    expect((await bench.coffer(['list', '--explain'], tenancy)).stderr).toMatch(/^bucket staging-uploads: STORAGE_SHARED_BUCKET/);
    const required = await bench.coffer(['list', '--json'], { ...tenancy, STORAGE_REQUIRE_TENANT_CONTEXT: 'true' });
    expect(required).toMatchObject({ code: 1, json: { error: { code: 'tenant_context_required' } } });
    expect(await bench.coffer(['list'], { ...tenancy, TENANT_ID: ' ' })).toMatchObject({ code: 2 });
  });
});
