import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { startFront, testDatabase } from '@coffer/fixtures';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { Cli } from '../../testing/cli.ts';
import type { Ended } from '../../testing/cli.ts';
import { withHangingProvider } from '../../testing/hanging-provider.ts';
import { describeStores, localBench } from '../../testing/stores.ts';
import type { Bench } from '../../testing/stores.ts';

const statuses = ({ json }: Ended): Readonly<Record<string, string>> =>
  Object.fromEntries(json.checks.map((check: { name: string; status: string }) => [check.name, check.status]));

describeStores('check', (bench, store) => {
  it('tries out what is configured, and leaves nothing', async () => {
    const { bucket, env, storage, coffer } = bench();
    const ended = await coffer(['check', '--json']);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    if (store === 'local') expect((await readdir(env['COFFER_DATA_DIR']!)).filter((name) => name.startsWith('.'))).toEqual([]);
    expect(ended.json.ok).toBe(true);
    expect(statuses(ended)).toMatchObject({ database: 'lacks', provider: 'ok', bucket: 'ok', round_trip: 'ok' });
    const { objects } = await storage.listFiles({ bucket });
    expect(objects).toEqual([]);
    expect((await storage.listBuckets()).filter(({ name }) => name.startsWith('coffer-check-'))).toEqual([]);
  });

  it('says what the endpoint does, and what Coffer does where it cannot', async () => {
    const { coffer } = bench();
    const { code, stdout } = await coffer(['check']);
    expect(code).toBe(0);
    const { acl, nested, conditionalCopy } = {
      acl: /^(\w+) +acl /m.exec(stdout)?.[1],
      nested: /^(\w+) +nested keys +(.*)$/m.exec(stdout),
      conditionalCopy: /^(\w+) +conditional copy /m.exec(stdout)?.[1],
    };
    if (store === 'local') {
      expect(acl).toBeUndefined();
      expect(stdout).toMatch(/^ok +disk +.* free of /m);
    } else {
      expect([acl, nested?.[1], conditionalCopy]).toEqual(store === 'ceph' ? ['ok', 'ok', 'lacks'] : ['lacks', 'lacks', 'lacks']);
    }
    if (store !== 'minio') return;
    expect(nested?.[2]).toContain('"x" beside "x/y" is refused, or hides "x/y" from lists');
    const document = await readFile(new URL('../../../../../docs/s3.md', import.meta.url), 'utf8');
    const recorded = /\n```\n(lacks {3}[^]*?)\n```\n/.exec(document)?.[1];
    expect(stdout.split('\n')).toEqual(expect.arrayContaining(recorded?.split('\n') ?? ['a report in docs/s3.md']));
  });

  it('tests in the checked bucket when the credentials may create none', async () => {
    const { bucket, env, storage, coffer } = bench();
    if (store === 'local') return;
    const denied = '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>';
    const absent = 'cli-not-used-yet';
    const front = await startFront(env['STORAGE_S3_ENDPOINT'] ?? '', (method, path) => {
      if (path.startsWith(`/${absent}`)) return method === 'HEAD' ? { status: 404, body: '' } : undefined;
      const isOurs = path === `/${bucket}` || path.startsWith(`/${bucket}/`) || path.startsWith(`/${bucket}?`);
      return isOurs || method === 'GET' ? undefined : { status: 403, body: method === 'HEAD' ? '' : denied };
    });
    const restricted = { STORAGE_S3_ENDPOINT: front.endpoint, STORAGE_ENABLE_MULTI_TENANCY: 'true', STORAGE_BUCKET: '' };
    const ended = await coffer(['check', '--bucket', bucket, '--json'], restricted);
    const later = await coffer(['check', '--json'], { ...restricted, STORAGE_AUTO_PROVISION: 'true', STORAGE_SHARED_BUCKET: absent });
    const nowhere = await coffer(['check', '--json'], { ...restricted, STORAGE_ENABLE_MULTI_TENANCY: 'false' });
    front.stop();
    expect(ended.json.checks.filter(({ status }: { status: string }) => status === 'failed')).toEqual([]);
    expect(ended.code).toBe(0);
    const unknown = { versioning: 'unknown', lifecycle: 'unknown', abort_rule: 'unknown', cors: 'unknown' };
    expect(statuses(ended)).toMatchObject({ bucket: 'ok', conditional_put: 'ok', ...unknown });
    expect((await storage.listFiles({ bucket })).objects).toEqual([]);
    expect(later.code).toBe(0);
    expect(statuses(later)).toMatchObject({ bucket: 'ok', round_trip: 'unknown', endpoint: 'unknown' });
    expect(nowhere.code).toBe(0);
    expect(statuses(nowhere)).toMatchObject({ bucket: 'lacks', endpoint: 'unknown' });
  });

  it('leaves no version of its object in a bucket that keeps versions', async () => {
    const { bucket, storage, coffer } = bench();
    if (store !== 'ceph') return;
    await storage.setVersioning(bucket, true);
    const { code, stdout } = await coffer(['check']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ok +round trip +not tried out: the bucket would keep a version of the test object$/m);
    await storage.deleteBucket(bucket); // refused if a version or a delete marker is left
  });

  it('fails for a bucket that is not there', async () => {
    const { coffer } = bench();
    // A bucket named with --bucket is never created on first use.
    for (const provision of ['true', 'false']) {
      const ended = await coffer(['check', '--bucket', 'cli-nobody-has-this', '--json'], { STORAGE_AUTO_PROVISION: provision });
      expect(ended.code).toBe(1);
      expect(ended.json.ok).toBe(false);
      expect(ended.json.checks.find(({ name }: { name: string }) => name === 'bucket')).toMatchObject({
        status: 'failed',
        code: 'no_such_bucket',
      });
    }
  });

  it('says which bucket it looks at, and why, with --explain', async () => {
    const { bucket, coffer } = bench();
    expect((await coffer(['check', '--explain', '--json'])).stderr).toContain(`bucket ${bucket}: STORAGE_BUCKET`);
  });

  it('does not create a bucket that its first use would create', async () => {
    const { storage, coffer } = bench();
    const ended = await coffer(['check', '--json'], { STORAGE_AUTO_PROVISION: 'true', STORAGE_BUCKET: 'cli-not-used-yet' });
    expect(ended).toMatchObject({ code: 0 });
    expect(statuses(ended)).toMatchObject({ bucket: 'ok', round_trip: 'ok' });
    expect(await storage.bucketExists('cli-not-used-yet')).toBe(false);
  });
});

describe('check', () => {
  let cli: Cli;
  let bench: Bench & { close(): Promise<void> };
  beforeAll(async () => {
    cli = await Cli.build();
  });
  beforeEach(async () => {
    bench = await localBench(cli);
  });
  afterEach(() => bench.close());
  const credentials = { STORAGE_S3_ACCESS_KEY: 'access', STORAGE_S3_SECRET_KEY: 'hidden' };

  it('does not wait for a provider that hangs longer than STORAGE_HEALTH_CHECK_TIMEOUT', async () => {
    await withHangingProvider(async (env) => {
      const ended = await bench.coffer(['check'], { ...env, STORAGE_HEALTH_CHECK_TIMEOUT: '0.5' });
      expect(ended.code).toBe(1);
      expect(ended.stdout).toContain('read_timeout: s3: The storage provider did not answer within 0.5 s.');
      expect(ended.stdout).not.toContain('bucket');
    });
  });

  it('does not wait for a database that hangs longer than that either', async () => {
    await withHangingProvider(async (env) => {
      const { host } = new URL(env['STORAGE_S3_ENDPOINT'] ?? '');
      const ended = await bench.coffer(['check'], { DATABASE_URL: `postgres://ann@${host}/coffer`, STORAGE_HEALTH_CHECK_TIMEOUT: '0.5' });
      expect(ended.code).toBe(1);
      expect(ended.stdout).toMatch(/^failed +database +storage_unavailable: did not answer within 0\.5 s$/m);
    });
  });

  it('ends on Ctrl-C while it waits', async () => {
    await withHangingProvider(async (env, connected) => {
      const running = bench.start(['check', '--json'], { ...env, STORAGE_HEALTH_CHECK_TIMEOUT: '300' });
      await connected;
      running.child.kill('SIGINT');
      const ended = await running.ended;
      expect(ended).toMatchObject({ code: 130, json: { checks: [{ name: 'database' }], error: { code: 'interrupted' } } });
    });
  });

  it('says so when nobody is there', async () => {
    const env = { ...credentials, STORAGE_BACKEND: 'minio', STORAGE_S3_ENDPOINT: 'http://127.0.0.1:1', STORAGE_MAX_RETRIES: '0' };
    const ended = await bench.coffer(['check'], env);
    expect(ended.code).toBe(1);
    expect(ended.stdout).toMatch(/^failed +provider +storage_unavailable: minio: /m);
    expect(`${ended.stdout}${ended.stderr}`).not.toContain('hidden');
  });

  it('asks the database, and changes nothing in it', async () => {
    const database = await testDatabase();
    const env = { DATABASE_URL: database.url };
    const before = await bench.coffer(['check'], env);
    expect(before.code).toBe(1);
    expect(before.stdout).toMatch(/^failed +database +storage_unavailable: PostgreSQL 18\S*, tables not up to date \(0000_initial\b/m);
    expect(await bench.coffer(['tenants', 'list'], env)).toMatchObject({ code: 0 });
    const after = await bench.coffer(['check'], env);
    expect(after.code).toBe(0);
    expect(after.stdout).toMatch(/^ok +database +PostgreSQL 18\S*, tables up to date$/m);
    await database.drop();
  });

  it("refuses a tenant's bucket as the default or shared bucket, as the server does", async () => {
    const database = await testDatabase();
    const env = { DATABASE_URL: database.url, STORAGE_ENABLE_MULTI_TENANCY: 'true' };
    const uuid = 'b1946ac9-2492-4d23-8f5c-6a3f0a1c9e55';
    await bench.coffer(['tenants', 'create', uuid, 'acme'], env);
    expect((await bench.coffer(['tenants', 'provision', 'acme'], env)).stdout).toContain('acme-uploads');
    for (const name of ['STORAGE_BUCKET', 'STORAGE_SHARED_BUCKET']) {
      const { code, stdout, stderr } = await bench.coffer(['check'], { ...env, [name]: 'acme-uploads' });
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toMatch(new RegExp(`${name}.*${uuid}`));
    }
    await database.drop();
  });

  it('says that the database is read-only, as that of a standby is', async () => {
    const database = await testDatabase();
    const env = { DATABASE_URL: database.url };
    expect(await bench.coffer(['tenants', 'list'], env)).toMatchObject({ code: 0 });
    const readOnly = `${database.url}?default_transaction_read_only=on`;
    const ended = await bench.coffer(['check'], { DATABASE_URL: readOnly });
    expect(ended.stdout).toMatch(/^failed +database +storage_unavailable: PostgreSQL 18\S*, read-only: /m);
    expect(ended.code).toBe(1);
    await database.drop();
  });

  it('checks the rest when the database is away, except for what depends on it', async () => {
    const env = { DATABASE_URL: 'postgres://ann:hidden@127.0.0.1:1/coffer' };
    const ended = await bench.coffer(['check', '--json'], env);
    expect(ended.code).toBe(1);
    expect(statuses(ended)).toMatchObject({ database: 'failed', provider: 'ok', bucket: 'ok' });
    expect(ended.stdout).not.toContain('hidden');
    const ofTenant = await bench.coffer(['check', '--json'], { ...env, STORAGE_ENABLE_MULTI_TENANCY: 'true', TENANT_ID: 'acme' });
    expect(statuses(ofTenant)).toMatchObject({ database: 'failed', provider: 'ok', bucket: 'failed' });
  });

  it('tries out the bucket of a backend that cannot tell about buckets', async () => {
    const core = new URL('../../../../../packages/storage-core/src/index.ts', import.meta.url);
    await writeFile(
      join(bench.folder, 'backend.mjs'),
      `import { memoryBackend } from ${JSON.stringify(core.href)};
      export default { name: 'acme', create: () => Object.assign(memoryBackend({ buckets: ['only'] }), { buckets: undefined }) };`,
    );
    const ended = await bench.coffer(['check', '--json'], { STORAGE_BACKEND: './backend.mjs', STORAGE_BUCKET: 'only' });
    expect(ended).toMatchObject({ code: 0, json: { ok: true } });
    expect(statuses(ended)).toMatchObject({ provider: 'ok', bucket: 'lacks', round_trip: 'ok' });
    const absent = await bench.coffer(['check', '--json'], { STORAGE_BACKEND: './backend.mjs', STORAGE_BUCKET: 'absent' });
    expect(absent.code).toBe(1);
    expect(absent.json.checks.at(-1)).toMatchObject({ name: 'round_trip', status: 'failed', code: 'no_such_bucket' });
  });

  it('does not fail for want of a tenant where each command has to name one', async () => {
    const env = { STORAGE_ENABLE_MULTI_TENANCY: 'true', STORAGE_REQUIRE_TENANT_CONTEXT: 'true' };
    const ended = await bench.coffer(['check', '--json'], env);
    expect(ended).toMatchObject({ code: 0, json: { ok: true } });
    expect(statuses(ended)).toMatchObject({ provider: 'ok', bucket: 'lacks' });
  });

  it('says that storage is switched off', async () => {
    const ended = await bench.coffer(['check', '--json'], { STORAGE_ENABLED: 'false' });
    expect(ended.code).toBe(1);
    expect(ended.json.checks.at(-1)).toMatchObject({ name: 'storage', code: 'storage_not_configured' });
  });

  it('names a folder that cannot be used', async () => {
    await writeFile(join(bench.folder, 'file'), '');
    const ended = await bench.coffer(['check', '--json'], { COFFER_DATA_DIR: 'file/data' });
    expect(ended.code).toBe(1);
    expect(ended.json.checks.at(-1)).toMatchObject({ name: 'storage', status: 'failed', code: 'storage_unavailable' });
  });
});
