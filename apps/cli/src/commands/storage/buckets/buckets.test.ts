import { randomBytes } from 'node:crypto';

import { startFront } from '@coffer/fixtures';
import { expect, it } from 'vitest';

import { describeServers, describeStores } from '../../../testing/stores.ts';

describeStores('buckets', (bench, store) => {
  const newName = (): string => `cli-${randomBytes(6).toString('hex')}`;

  it('creates one, shows it, and deletes it with --confirm', async () => {
    const { bucket, storage, coffer } = bench();
    const name = newName();
    const created = await coffer(['buckets', 'create', name, '--json']);
    expect(created).toMatchObject({ code: 0, stderr: '', json: { name, versioning_enabled: false } });
    const info = await coffer(['buckets', 'info', name, '--json']);
    expect(info.json).toMatchObject({ name, region: expect.any(String) as string, creation_date: expect.stringMatching(/Z$/) as string });
    expect((await coffer(['buckets', 'info', name])).stdout).toMatch(
      new RegExp(`^name +${name}\\nregion +\\S+\\ncreated +\\S+Z\\nversioning +off\\n$`),
    );
    const { json } = await coffer(['buckets', 'list', '--json']);
    expect(json.buckets.map((each: { name: string }) => each.name)).toEqual(expect.arrayContaining([bucket, name]));
    expect(json.total).toBe(json.buckets.length);
    expect((await coffer(['buckets', 'list'])).stdout).toContain(`\n${name} `);

    const preview = await coffer(['buckets', 'delete', name, '--json']);
    expect(preview).toMatchObject({ code: 0, stderr: '', json: { dry_run: true, bucket: name, count: 0, bytes: 0 } });
    expect(await storage.bucketExists(name)).toBe(true);
    expect((await coffer(['buckets', 'delete', name, '--confirm', '--json'])).json).toEqual({ dry_run: false, bucket: name });
    expect(await storage.bucketExists(name)).toBe(false);
  });

  it('keeps one that is not empty, unless --force is there as well', async () => {
    const { bucket, storage, coffer } = bench();
    await storage.uploadFile({ key: 'a/b', body: 'Hello' });
    await storage.uploadFile({ key: 'c', body: '' });
    const preview = await coffer(['buckets', 'delete', bucket]);
    expect(preview).toMatchObject({
      code: 0,
      stdout: `would delete ${bucket} with 2 objects (5 B); nothing is deleted without --force and --confirm\n`,
    });
    expect(await coffer(['buckets', 'delete', bucket, '--force'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^would delete .*; nothing is deleted without --confirm\n$/) as string,
    });
    const refused = await coffer(['buckets', 'delete', bucket, '--confirm', '--json']);
    expect(refused).toMatchObject({ code: 1, json: { error: { code: 'bucket_not_empty' } } });
    expect((await storage.listFiles({ bucket })).objects).toHaveLength(2);
    expect(await coffer(['buckets', 'delete', bucket, '--force', '--confirm'])).toMatchObject({ code: 0, stdout: `deleted ${bucket}\n` });
    expect(await storage.bucketExists(bucket)).toBe(false);
  });

  it('tells of a bucket that is there already, is not there, or has no name', async () => {
    const { bucket, coffer } = bench();
    const codes = async (...args: readonly string[]): Promise<readonly unknown[]> => {
      const { code, json, stderr } = await coffer(['buckets', ...args, '--json']);
      expect(stderr).toContain(`${json.error.code}: `);
      return [code, json.error.code];
    };
    expect(await codes('create', bucket)).toEqual([1, 'bucket_already_exists']);
    expect(await codes('create', 'Not_A_Name')).toEqual([1, 'invalid_bucket_name']);
    expect(await codes('create', newName(), '--acl', 'everybody')).toEqual([2, 'usage']);
    for (const name of ['info', 'delete']) expect(await codes(name, newName())).toEqual([1, 'no_such_bucket']);
    expect(await codes('delete', newName(), '--confirm', '--force')).toEqual([1, 'no_such_bucket']);
    for (const name of ['info', 'delete', 'create']) expect(await codes(name)).toEqual([2, 'usage']);
  });

  it('creates a bucket with the requested ACL and region, or none', async () => {
    const { storage, coffer } = bench();
    const open = newName();
    const ended = await coffer(['buckets', 'create', open, '--acl', 'public-read', '--json']);
    if (store === 'minio') {
      expect(ended).toMatchObject({ code: 1, json: { error: { code: 'acl_not_supported' } } });
      expect(await storage.bucketExists(open)).toBe(false);
    } else {
      expect(ended.code).toBe(0);
      expect(JSON.stringify(await storage.getBucketAcl(open))).toContain('AllUsers');
      await storage.deleteBucket(open);
    }
    const far = newName();
    const inRegion = await coffer(['buckets', 'create', far, '--region', 'eu-west-1', '--json']);
    if (store === 'ceph') {
      expect(inRegion).toMatchObject({ code: 1, json: { error: { code: 'invalid_argument' } } });
      expect(await storage.bucketExists(far)).toBe(false);
    } else {
      expect(inRegion).toMatchObject({ code: 0, json: { name: far } });
      if (store === 'local') expect((await coffer(['buckets', 'info', far, '--json'])).json.region).toBe('eu-west-1');
      await storage.deleteBucket(far);
    }
  });
});

describeServers('buckets that keep versions', (bench) => {
  it('says that versions are deleted too, which it does not count', async () => {
    const { bucket, storage, coffer } = bench();
    await storage.setVersioning(bucket, true);
    await storage.uploadFile({ key: 'a', body: 'Hello' });
    await storage.deleteFile({ key: 'a' });
    expect(await coffer(['buckets', 'delete', bucket])).toMatchObject({
      code: 0,
      stdout: `would delete ${bucket} with 0 objects (0 B); nothing is deleted without --force and --confirm\n`,
      stderr: `note: ${bucket} keeps versions: older versions and versions of deleted objects go as well, and are not counted.\n`,
    });
  });
});

describeServers('a bucket whose date the credentials may not learn', (bench) => {
  it('is shown without one', async () => {
    const { bucket, env, coffer } = bench();
    const body = '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>';
    const front = await startFront(env['STORAGE_S3_ENDPOINT'] ?? '', (_method, path) =>
      /^\/(?:\?|$)/.test(path) ? { status: 403, body } : undefined,
    );
    const { code, stdout } = await coffer(['buckets', 'info', bucket], { STORAGE_S3_ENDPOINT: front.endpoint });
    front.stop();
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^created +unknown$/m)]);
  });
});
