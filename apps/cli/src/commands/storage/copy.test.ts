import { expect, it } from 'vitest';

import { objectsIn, putObjects } from '../../testing/files.ts';
import { describeStores } from '../../testing/stores.ts';

describeStores('copy and move', (bench, store) => {
  it('copies within the bucket and to another', async () => {
    const { bucket, storage, coffer, newBucket } = bench();
    const other = await newBucket();
    await storage.uploadFile({ key: 'uploads/source.pdf', body: 'text', contentType: 'text/x-note', metadata: { by: 'me' } });
    const ended = await coffer(['copy', 'uploads/source.pdf', 'uploads/dest.pdf', '--json']);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.json).toEqual({
      copied: [{ key: 'uploads/dest.pdf', bucket, source_key: 'uploads/source.pdf', size_bytes: 4, etag: expect.any(String) as string }],
      failed: [],
    });
    expect(await storage.getFileInfo('uploads/dest.pdf')).toMatchObject({ contentType: 'text/x-note', metadata: { by: 'me' } });
    await coffer(['copy', 'uploads/source.pdf', '--to-bucket', other, '--to-key', 'archives/file.pdf']);
    await coffer(['copy', 'uploads/source.pdf', '--to-bucket', other]);
    for (const folder of ['folder/', '']) await coffer(['copy', 'uploads/source.pdf', folder, '--to-bucket', other]);
    expect(Object.keys(await objectsIn(storage, other))).toEqual([
      'archives/file.pdf',
      'folder/source.pdf',
      'source.pdf',
      'uploads/source.pdf',
    ]);
    expect(Object.keys(await objectsIn(storage, bucket))).toEqual(['uploads/dest.pdf', 'uploads/source.pdf']);
  });

  it('moves an object, or everything below a prefix', async () => {
    const { bucket, storage, coffer } = bench();
    await putObjects(storage, { 'temp/a': 'a', 'temp/sub/b': 'b', temporary: 't', 'old name': 'o' });
    const ended = await coffer(['move', 'old name', 'new name', '--json']);
    expect(ended.json.moved).toMatchObject([{ key: 'new name', source_key: 'old name' }]);
    expect(await coffer(['move', 'temp', 'kept', '--recursive'])).toMatchObject({ code: 0, stderr: '' });
    expect(await objectsIn(storage, bucket)).toEqual({ 'kept/a': 'a', 'kept/sub/b': 'b', 'new name': 'o', temporary: 't' });
  });

  it('sets ACL and storage class', async () => {
    const { storage, coffer } = bench();
    await putObjects(storage, { a: 'a' });
    const storageClass = store === 'ceph' ? 'STANDARD' : 'REDUCED_REDUNDANCY'; // Ceph has no other
    for (const [command, key] of [
      ['copy', 'b'],
      ['move', 'c'],
    ] as const) {
      const acl = store === 'minio' ? [] : ['--acl', 'public-read'];
      expect(await coffer([command, 'a', key, ...acl, '--storage-class', storageClass])).toMatchObject({ code: 0, stderr: '' });
      expect(await storage.getFileInfo(key)).toMatchObject({ storageClass });
      if (store !== 'minio') expect((await storage.getObjectAcl(key)).grants).toHaveLength(2);
    }
  });

  it('takes an object only if the patterns select it', async () => {
    const { bucket, storage, coffer } = bench();
    await putObjects(storage, { 'a.tmp': 'a' });
    const note = 'note: the patterns select none of the named objects; with --recursive, they select among those below.\n';
    for (const pattern of ['--exclude=*.tmp', '--include=*.pdf'])
      expect(await coffer(['move', 'a.tmp', 'b.tmp', pattern, '--json'])).toMatchObject({ json: { moved: [], failed: [] }, stderr: note });
    for (const args of [['download', '-o', 'x'], ['delete']])
      expect(await coffer([...args, 'a.tmp', '--include', 'b', '--json'])).toMatchObject({ code: 0, stderr: note });
    expect(await objectsIn(storage, bucket)).toEqual({ 'a.tmp': 'a' });
    expect(await coffer(['copy', 'a.tmp', 'b.tmp', '--include='])).toMatchObject({ code: 2 });
    expect((await coffer(['copy', 'a.tmp', 'b.tmp', '--include=*.tmp', '--json'])).json.copied).toHaveLength(1);
  });

  it('moves until nothing is left', async () => {
    const { storage, coffer, newBucket } = bench();
    // MinIO lists each of these only once the one before it is gone.
    const names = ['p', 'p/q', 'p/q/r'];
    const other = await newBucket();
    await putObjects(storage, Object.fromEntries(names.map((name) => [`n/${name}`, name])));
    const ended = await coffer(['move', 'n', 'm', '-r', '--json']);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.json.moved.map(({ source_key: from }: { source_key: string }) => from).toSorted()).toEqual(['n/p', 'n/p/q', 'n/p/q/r']);
    for (const name of names) {
      expect(await storage.fileExists(`n/${name}`)).toBe(false);
      expect((await storage.downloadFile({ key: `m/${name}` })).toString()).toBe(name);
    }
    const away = await coffer(['move', 'm', '-r', '--to-bucket', other, '--json']);
    expect(away.json.moved).toHaveLength(names.length);
  });

  it('moves nothing twice, and counts nothing twice', async () => {
    const { bucket, storage, coffer } = bench();
    await putObjects(storage, { 'a/b/b/x': '1', 'a/b/y': '2', 'n/same': '3', 'n/new': '4', 'm/same': '3' });
    expect(await coffer(['move', 'a/b', 'a', '-r'])).toMatchObject({ code: 0, stderr: '' });
    const ended = await coffer(['move', 'n', 'm', '-r', '--update']);
    expect(ended.stdout).toMatch(/^moved 1 object \(1 B\) in [^,]+, 1 skipped$/m);
    expect(await objectsIn(storage, bucket)).toEqual({ 'a/b/x': '1', 'a/y': '2', 'm/new': '4', 'm/same': '3', 'n/same': '3' });
  });

  it('copies with --update what is not there or differs, and says so before', async () => {
    const { bucket, storage, coffer } = bench();
    await putObjects(storage, { 'n/same': '3', 'n/other': '4', 'm/same': '3', 'm/other': '5' });
    for (const dry of [['--dry-run'], []]) {
      const ended = await coffer(['copy', 'n', 'm', '-r', '--update', '--json', ...dry]);
      expect(ended.json.copied).toMatchObject([{ key: 'm/other' }]);
    }
    expect(await objectsIn(storage, bucket)).toMatchObject({ 'm/same': '3', 'm/other': '4' });
    expect((await coffer(['copy', 'n', 'm', '-r', '--json'])).json.copied).toHaveLength(2);
    for (const command of ['copy', 'move'])
      expect(await coffer([command, 'n', 'n', '-r', '--storage-class', 'STANDARD'])).toMatchObject({
        code: 0,
        stdout: expect.stringContaining(' 2 objects ') as string,
      });
    expect(await coffer(['copy', 'n/same', '../b', '--dry-run'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^invalid_key: n\/same: /) as string,
    });
  });

  it('moves objects to the places of others of them once those have moved', async () => {
    const { bucket, storage, coffer } = bench();
    const numbers = Array.from({ length: 400 }, (_, id) => `x${String(id).padStart(3, '0')}`); // more than the first page holds
    const objects = {
      'a/x000': 'first',
      'a/y': 'y',
      'a/a/a/y': 'aay',
      ...Object.fromEntries(numbers.map((name) => [`a/a/${name}`, name])),
    };
    await putObjects(storage, objects);
    const shown = await coffer(['move', 'a', '', '-r', '--dry-run', '--json']);
    expect(shown.json.moved).toHaveLength(403);
    const ended = await coffer(['move', 'a', '', '-r', '--json']);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.json.moved).toEqual(shown.json.moved);
    const moved = { x000: 'first', y: 'y', 'a/a/y': 'aay', ...Object.fromEntries(numbers.map((name) => [`a/${name}`, name])) };
    expect(await objectsIn(storage, bucket)).toEqual(moved);
    expect(await coffer(['copy', 'a', '', '-r'])).toMatchObject({ code: 0, stderr: '' });
    expect(await objectsIn(storage, bucket)).toEqual({
      ...moved,
      ...Object.fromEntries(numbers.map((name) => [name, name])),
      'a/y': 'aay',
    });
  });

  it('leaves out the empty object of a folder that becomes the whole bucket, and does not fail for it', async () => {
    const { bucket, storage, coffer, newBucket } = bench();
    await putObjects(storage, { 'docs/': '', 'docs/a': 'a', 'docs/docs/b': 'b' });
    const other = await newBucket();
    expect(await coffer(['copy', 'docs', '', '-r', '--to-bucket', other])).toMatchObject({ code: 0, stderr: '' });
    expect(await objectsIn(storage, other)).toEqual({ a: 'a', 'docs/b': 'b' });
    expect(await coffer(['move', 'docs', '', '-r'])).toMatchObject({ code: 0, stderr: '' });
    expect(await objectsIn(storage, bucket)).toEqual({ 'docs/': '', a: 'a', 'docs/b': 'b' });
  });

  it('leaves an object that would take the place of one that failed', async () => {
    const { bucket, storage, coffer, newBucket } = bench();
    await putObjects(storage, { 'b/b/y': 'deep', 'b/y': 'kept' });
    const ended = await coffer(['move', 'b', '', '-r', '--acl', 'private', '--storage-class', 'NO_SUCH_CLASS', '--json']);
    expect(ended.code).toBe(1);
    expect(ended.json).toMatchObject({ moved: [], failed: [{ key: 'b/y' }, { key: 'b/b/y', code: 'path_conflict' }] });
    expect(await objectsIn(storage, bucket)).toEqual({ 'b/b/y': 'deep', 'b/y': 'kept' });
    // In another bucket, nothing is in the way.
    const other = await newBucket();
    const refused = await coffer(['move', 'b', '', '-r', '--to-bucket', other, '--storage-class', 'NO_SUCH_CLASS', '--json']);
    expect(refused.json.failed.map(({ code }: { code: string }) => code)).toEqual(Array(2).fill('invalid_argument'));
    expect(await coffer(['move', 'b', '', '-r', '--to-bucket', other])).toMatchObject({ code: 0, stderr: '' });
    expect(await objectsIn(storage, other)).toEqual({ 'b/y': 'deep', y: 'kept' });
  });

  it('names what fails', async () => {
    const { bucket, storage, coffer } = bench();
    await putObjects(storage, { a: 'a' });
    expect((await coffer(['copy', 'nosuch', 'x', '--json'])).json).toMatchObject({
      copied: [],
      failed: [{ key: 'nosuch', code: 'file_not_found' }],
    });
    expect(await coffer(['move', 'a', '--to-bucket', 'there-is-no-such-bucket'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^no_such_bucket: a: [^\n]+\n$/) as string,
    });
    // As from a variable that is not set.
    expect(await coffer(['move', 'a', 'b', '--to-bucket', ''])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^invalid_bucket_name: a: [^\n]+\n$/) as string,
    });
    expect(await coffer(['copy', 'a', 'a'])).toMatchObject({ code: 2 });
    expect(await coffer(['copy', 'a', 'a', '--storage-class', 'STANDARD'])).toMatchObject({ code: 0 });
    expect(await coffer(['copy', 'a', '../b'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^invalid_key: a: \.\.\/b: A key must not /) as string,
    });
    expect(await objectsIn(storage, bucket)).toEqual({ a: 'a' });
  });
});
