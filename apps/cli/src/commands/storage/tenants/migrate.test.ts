import { once } from 'node:events';

import { testDatabase } from '@coffer/fixtures';
import { createRuntime, parseConfig } from '@coffer/runtime';
import type { Runtime } from '@coffer/runtime';
import { expect, it } from 'vitest';

import { describeStores } from '../../../testing/stores.ts';
import type { Bench } from '../../../testing/stores.ts';

const acme = { tenantUuid: 'b1946ac9-2492-4d23-8f5c-6a3f0a1c9e55', tenantSlug: 'acme' };
const globex = { tenantUuid: '7c9e6679-7425-40de-944b-e07fc1f90ae7', tenantSlug: 'globex' };
const admin = { subject: 'root', role: 'admin' } as const;

interface Setting {
  readonly env: Readonly<Record<string, string>>;
  readonly runtime: Runtime;
  /** The text of each file, by its id. */
  readonly texts: ReadonlyMap<string, string>;
  bucketOf(tenant: typeof acme): string;
}

describeStores('tenants migrate', (bench) => {
  /** Stores files of two tenants and of none in the shared bucket, and then turns multi-tenancy on. */
  const withFiles = async (count: number, work: (bench: Bench, setting: Setting) => Promise<void>): Promise<void> => {
    const { env: base, bucket, storage } = bench();
    const database = await testDatabase();
    const env = {
      ...base,
      DATABASE_URL: database.url,
      STORAGE_ENABLE_MULTI_TENANCY: 'true',
      STORAGE_AUTO_PROVISION: 'true',
      STORAGE_SHARED_BUCKET: bucket,
      STORAGE_BUCKET_NAMING_PATTERN: `${bucket}-{tenant_slug}`,
    };
    const runtime = await createRuntime(parseConfig({ ...env, STORAGE_ENABLE_MULTI_TENANCY: 'false' }, { serve: false }));
    const bucketOf = ({ tenantSlug }: typeof acme): string => `${bucket}-${tenantSlug}`;
    try {
      const texts = new Map<string, string>();
      for (let index = 0; index < count; index++) {
        const tenant = [acme, globex, undefined][index % 3];
        const file = { body: `file ${index}`, filename: `${index}.txt`, ownerId: 'ann', ...(tenant && { tenantContext: tenant }) };
        const { id } = await runtime.files.uploadFile(file);
        if (tenant !== undefined) texts.set(id, file.body);
      }
      await work(bench(), { env, runtime, texts, bucketOf });
    } finally {
      await runtime.close();
      for (const tenant of [acme, globex]) await storage.deleteBucket(bucketOf(tenant), { force: true }).catch(() => {}); // may not exist
      await database.drop();
    }
  };

  const expectMoved = async ({ runtime, texts, bucketOf }: Setting): Promise<void> => {
    for (const [id, text] of texts) {
      const { tenantUuid, bucket, storageKey: key } = await runtime.files.get(id, admin);
      expect(bucket).toBe(bucketOf(tenantUuid === acme.tenantUuid ? acme : globex));
      expect((await runtime.storage.downloadFile({ bucket, key })).toString()).toBe(text);
    }
  };

  it('shows what would move, moves it, and has nothing left to do', async () => {
    await withFiles(6, async ({ bucket, coffer }, setting) => {
      const { env, texts, bucketOf } = setting;
      const dry = await coffer(['tenants', 'migrate', '--dry-run', '--json'], env);
      expect(dry).toMatchObject({ code: 0, stderr: '', json: { dry_run: true, count: 4, bytes: 24, skipped: 0, failed: [] } });
      expect((await coffer(['tenants', 'migrate', '--dry-run'], env)).stdout).toMatch(/would move 4 objects \(24 B\); nothing was done/);
      expect(await setting.runtime.storage.bucketExists(bucketOf(acme))).toBe(false);

      const moved = await coffer(['tenants', 'migrate', '--json'], env);
      expect(moved).toMatchObject({ code: 0, stderr: '' });
      expect(moved.json.moved.toSorted(byId)).toEqual(dry.json.moved.toSorted(byId));
      expect(moved.json.moved.toSorted(byId)[0]).toEqual({
        file_id: [...texts.keys()][0],
        tenant_uuid: acme.tenantUuid,
        key: expect.stringMatching(/^files\//) as string,
        source_bucket: bucket,
        bucket: bucketOf(acme),
        size_bytes: 6,
      });
      await expectMoved(setting);
      await setting.runtime.files.sweep({ now: new Date(Date.now() + 6 * 86_400_000) });
      expect((await setting.runtime.storage.listFiles({ bucket })).objects).toHaveLength(6); // for the URLs that are out
      expect((await coffer(['tenants', 'migrate'], env)).stdout).toMatch(/^moved 0 objects \(0 B\)/);
    });
  });

  it('skips a file that has to wait for a sweep, and promises no more in a dry run', async () => {
    await withFiles(6, async ({ bucket, coffer }, setting) => {
      const { env, runtime, texts } = setting;
      const [id] = texts.keys();
      // As after a presigned upload of which completing was tried twice.
      await runtime.database.sql`update files set upload_key = 'incoming/' || id, complete_attempts = 2 where id = ${id!}`;
      const dry = await coffer(['tenants', 'migrate', '--dry-run', '--json'], env);
      expect(dry).toMatchObject({ code: 0, stderr: '', json: { count: 3, bytes: 18, skipped: 1, failed: [] } });
      const { json } = await coffer(['tenants', 'migrate', '--json'], env);
      expect({ ...json, moved: json.moved.toSorted(byId) }).toEqual({ ...dry.json, dry_run: false, moved: dry.json.moved.toSorted(byId) });
      expect((await runtime.files.get(id!, admin)).bucket).toBe(bucket);
    });
  });

  it('may be killed at any time, and does the rest when it is called again', async () => {
    await withFiles(45, async ({ bucket, start, coffer }, setting) => {
      const { env, runtime, texts } = setting;
      const running = start(['tenants', 'migrate', '--concurrency', '2'], env);
      await once(running.child.stdout!, 'data');
      running.child.kill('SIGKILL');
      expect((await running.ended).code).toBe('SIGKILL');
      for (const [id, text] of texts) {
        const file = await runtime.files.get(id, admin);
        expect((await runtime.storage.downloadFile({ bucket: file.bucket, key: file.storageKey })).toString()).toBe(text);
      }
      const rest = await coffer(['tenants', 'migrate', '--keep', '0'], env);
      expect(rest).toMatchObject({ code: 0, stderr: '' });
      await expectMoved(setting);
      // Nothing but the files is left after the sweep.
      await runtime.files.sweep({ now: new Date(Date.now() + 30 * 86_400_000) });
      let left = 0;
      for await (const _object of runtime.storage.listFiles({ bucket })) left += 1;
      expect(left).toBe(15);
    });
  });

  it('ends with 130 on Ctrl-C, and tells what it has done', async () => {
    await withFiles(45, async ({ start }, { env }) => {
      const running = start(['tenants', 'migrate', '--concurrency', '1'], env);
      await once(running.child.stdout!, 'data');
      running.child.kill('SIGINT');
      const { code, stderr } = await running.ended;
      expect(code).toBe(130);
      expect(stderr).toContain('interrupted: ');
    });
  });

  it('names the files that cannot move', async () => {
    await withFiles(3, async ({ coffer }, { env }) => {
      const ended = await coffer(['tenants', 'migrate', '--json'], { ...env, STORAGE_AUTO_PROVISION: 'false' });
      expect(ended).toMatchObject({ code: 1, json: { moved: [], count: 0 } });
      expect(ended.json.failed).toMatchObject([{ code: 'no_such_bucket' }, { code: 'no_such_bucket' }]);
      const hint = await coffer(['tenants', 'migrate', '--dry-run'], { ...env, STORAGE_ENABLE_MULTI_TENANCY: 'false' });
      expect(hint).toMatchObject({ code: 0, stderr: expect.stringContaining('STORAGE_ENABLE_MULTI_TENANCY is off') as string });
    });
  });
});

function byId(a: { readonly file_id: string }, b: { readonly file_id: string }): number {
  return a.file_id < b.file_id ? -1 : 1;
}
