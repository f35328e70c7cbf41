import { testDatabase } from '@coffer/fixtures';
import { createRuntime, parseConfig } from '@coffer/runtime';
import { expect, it } from 'vitest';

import { openUpload, openUploads } from '../../testing/open-uploads.ts';
import { describeStores } from '../../testing/stores.ts';

describeStores('sweep', (bench, store) => {
  it('counts, without a database, what killed processes left at the provider', async () => {
    const ended = await bench().coffer(['sweep', '--dry-run', '--json']);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.json).toEqual({
      dry_run: true,
      objects: { removed: expect.any(Number) as number, bytes: expect.any(Number) as number },
      files: null,
    });
  });

  it('ends uploads that nobody completed', async () => {
    const { bucket, env: base, storage, coffer } = bench();
    const database = await testDatabase();
    const env = { ...base, DATABASE_URL: database.url };
    const { files, database: own, close } = await createRuntime(parseConfig(env, { serve: false }));
    const request = { filename: 'a.txt', contentType: 'text/plain', sizeBytes: 5, ownerId: 'ann' };
    const expire = async (): Promise<void> => {
      const { fileId } = await files.createPresignedUpload(request);
      await storage.uploadFile({ key: `incoming/${fileId}`, body: 'Hello' });
      await own.sql`update files set sweep_at = now() - interval '2 days', expires_at = now() - interval '2 days'`;
    };
    await expire();
    const [dry, text] = [await coffer(['sweep', '--dry-run', '--json'], env), await coffer(['sweep', '--dry-run'], env)];
    expect(dry.json.files).toEqual({ expired: 1, failed: 0, deleted: 0, received: 0, retained: 0 });
    expect(text.stdout).toContain('files: would remove 1 expired upload, 0 failed uploads, ');
    // On a server that others use as well, their data is safe: what is younger than a day stays.
    const swept = await coffer(['sweep', '--json'], env);
    expect(swept).toMatchObject({ code: 0, json: { dry_run: false, files: { expired: 1 } } });
    expect((await storage.listFiles({ bucket })).objects).toEqual([]);
    expect((await coffer(['sweep', '--dry-run', '--json'], env)).json.files.expired).toBe(0);
    await expire();
    await own.sql`create table others as select id from files`;
    await own.sql`alter table others add foreign key (id) references files (id)`;
    expect(await coffer(['sweep', '--json'], env)).toMatchObject({
      code: 1,
      json: { files: { retained: 1 } },
      stderr: expect.stringMatching(
        /^storage_unavailable: What 1 file left behind could not be removed: .* the permission to list and to delete objects/,
      ) as string,
    });
    await close();
    await database.drop();
  });

  it('ends uploads in the bucket that is named', async () => {
    const { env, coffer, newBucket } = bench();
    const [named, other] = [await newBucket(), await newBucket()];
    if (store !== 'local') for (const bucket of [named, other]) await openUpload(env, { bucket, key: 'open' });
    const swept = await coffer(['sweep', '--bucket', named, '--older-than', '0', '--json']);
    const removed = store === 'local' ? 0 : 1;
    expect(swept).toMatchObject({ code: 0, json: { objects: { removed }, files: null } });
    if (store !== 'local') expect([await openUploads(env, named), await openUploads(env, other)]).toEqual([[], ['open']]);
    const noDatabase = { DATABASE_URL: 'postgres://127.0.0.1:1/coffer' }; // none is needed
    const text = await coffer(['sweep', '--bucket', named], noDatabase);
    expect(text).toMatchObject({ code: 0, stdout: expect.stringMatching(/^objects: removed 0 [^\n]*\n$/) });
    const missing = await coffer(['sweep', '--bucket', 'cli-nobody-has-this', '--json']);
    expect(missing).toMatchObject({ code: 1, json: { error: { code: 'no_such_bucket' } } });
  });

  it('fails where storage is switched off', async () => {
    const ended = await bench().coffer(['sweep', '--json'], { STORAGE_ENABLED: 'false' });
    expect(ended).toMatchObject({ code: 1, json: { error: { code: 'storage_not_configured' } } });
  });
});
