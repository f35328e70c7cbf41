import { expect, it } from 'vitest';

import { putObjects } from '../../testing/files.ts';
import { describeStores } from '../../testing/stores.ts';

describeStores('list and buckets', (bench) => {
  it('shows everything, what begins with a prefix, or so many', async () => {
    const { storage, coffer } = bench();
    await putObjects(storage, { 'a/1': 'x', 'a/2': 'xx', 'b/3': 'xxx', c: '' });
    const all = await coffer(['list']);
    expect(all).toMatchObject({ code: 0, stderr: '' });
    expect(all.stdout).toMatch(/^(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ {2,}\d+ {2}\S+\n){4}$/);
    expect((await coffer(['list', 'a/', '--recursive', '--json'])).json).toEqual({
      objects: [
        {
          key: 'a/1',
          size_bytes: 1,
          etag: expect.any(String) as string,
          last_modified: expect.stringMatching(/Z$/) as string,
          storage_class: 'STANDARD',
        },
        {
          key: 'a/2',
          size_bytes: 2,
          etag: expect.any(String) as string,
          last_modified: expect.stringMatching(/Z$/) as string,
          storage_class: 'STANDARD',
        },
      ],
      truncated: false,
    });
    expect((await coffer(['list', '--limit', '3', '--json'])).json).toMatchObject({ objects: { length: 3 }, truncated: true });
    expect((await coffer(['list', '--limit', '4', '--json'])).json).toMatchObject({ objects: { length: 4 }, truncated: false });
    expect((await coffer(['list', '--delimiter', '/', '--json'])).json).toMatchObject({
      objects: [{ key: 'c' }],
      common_prefixes: ['a/', 'b/'],
    });
    expect((await coffer(['list', '--delimiter', '/', '--limit', '1', '--json'])).json).toEqual({
      objects: [],
      common_prefixes: ['a/'],
      truncated: true,
    });
    expect((await coffer(['list', 'nothing/', '--json'])).json).toEqual({ objects: [], truncated: false });
  });

  it('says that a prefix is no pattern and no path, if nothing begins with it', async () => {
    const { storage, coffer } = bench();
    await putObjects(storage, { 'a/1': 'x', 'b*': 'x' });
    for (const prefix of ['a/*', 'a/?', '/a/']) {
      const stderr = `note: no key begins with ${prefix}; a prefix is taken literally.\n`;
      expect(await coffer(['list', prefix, '--json'])).toMatchObject({ code: 0, stderr, json: { objects: [] } });
    }
    expect(await coffer(['list', 'b*'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/ b\*\n$/) as string, stderr: '' });
  });

  it('says which bucket it looked into, and why', async () => {
    const { bucket, coffer, newBucket } = bench();
    const other = await newBucket();
    expect((await coffer(['list', '--explain'])).stderr).toMatch(new RegExp(`^bucket ${bucket}: STORAGE_BUCKET`));
    expect((await coffer(['list', '--explain', '--bucket', other])).stderr).toBe(`bucket ${other}: named by --bucket.\n`);
    const missing = await coffer(['list', '--bucket', 'there-is-no-such-bucket', '--json']);
    expect(missing).toMatchObject({ code: 1, json: { error: { code: 'no_such_bucket' } } });
    expect(missing.stderr).toMatch(/^no_such_bucket: [^\n]+\n$/);
    expect(await coffer(['list', '--bucket', 'Not A Bucket'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^invalid_bucket_name: /) as string,
    });
  });

  it('creates, shows and deletes buckets', async () => {
    const { bucket, storage, coffer } = bench();
    const name = `${bucket}-more`;
    expect((await coffer(['buckets', 'create', name, '--json'])).json).toMatchObject({ name, versioning_enabled: false });
    expect(await coffer(['buckets', 'create', name])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^bucket_already_exists: /) as string,
    });
    expect((await coffer(['buckets', 'info', name, '--json'])).json).toMatchObject({ name, region: expect.any(String) as string });
    const listed = await coffer(['buckets', 'list', '--json']);
    expect(listed.json.buckets.map((each: { name: string }) => each.name)).toContain(name);
    expect(listed.json.total).toBe(listed.json.buckets.length);
    expect((await coffer(['buckets', 'list'])).stdout).toMatch(/^NAME +REGION +CREATED +VERSIONING\n/);

    await storage.uploadFile({ bucket: name, key: 'k', body: 'abc' });
    expect((await coffer(['buckets', 'delete', name, '--json'])).json).toEqual({ dry_run: true, bucket: name, count: 1, bytes: 3 });
    expect(await coffer(['buckets', 'delete', name, '--confirm'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^bucket_not_empty: [^\n]+ --force deletes /) as string,
    });
    expect(await coffer(['buckets', 'delete', name, '--force', '--confirm'])).toMatchObject({ code: 0, stderr: '' });
    expect(await coffer(['buckets', 'info', name])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^no_such_bucket: /) as string,
    });
  });
});
