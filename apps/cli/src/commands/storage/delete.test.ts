import { startFront } from '@coffer/fixtures';
import { expect, it } from 'vitest';

import type { Ended } from '../../testing/cli.ts';
import { objectsIn, putObjects } from '../../testing/files.ts';
import { describeStores } from '../../testing/stores.ts';

describeStores('delete', (bench, store) => {
  // MinIO lists nothing below an object.
  const itself: Readonly<Record<string, string>> = store === 'minio' ? {} : { old: 'itself' };

  it('deletes nothing without --confirm, and says what would go', async () => {
    const { bucket, storage, coffer } = bench();
    await putObjects(storage, { 'old/a': 'aaa', 'old/sub/b': 'b', older: 'o', ...itself });
    const ended = await coffer(['delete', 'old/', '--prefix', '--json']);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.json).toEqual({ dry_run: true, keys: ['old/a', 'old/sub/b'], count: 2, bytes: 4, failed: [] });
    expect((await coffer(['delete', 'old/', '-r', '--json'])).json).toEqual(ended.json); // -r as in other commands
    const human = await coffer(['delete', 'older', 'no\u202esuch']);
    expect(human).toMatchObject({ code: 0, stderr: 'note: there is no object no\\u{202e}such.\n' });
    expect(human.stdout).toContain('would delete 1 object (1 B)');
    expect(await storage.fileExists('old/a')).toBe(true);
    expect(await storage.fileExists({ bucket, key: 'older' })).toBe(true);
  });

  it('deletes below a prefix at the boundary of a folder, until nothing is left', async () => {
    const { bucket, storage, coffer } = bench();
    // MinIO lists each of these only once the one before it is gone.
    await putObjects(storage, { 'old/x': '1', 'old/x/y': '22', 'old/x/y/z': '333', older: 'o', ...itself });
    const ended = await coffer(['delete', 'old', '--prefix', '--confirm', '--json']);
    expect(ended.code).toBe(0);
    expect(ended.json).toEqual({
      dry_run: false,
      keys: expect.arrayContaining(['old/x', 'old/x/y', 'old/x/y/z']) as unknown,
      count: 3,
      bytes: 6,
      failed: [],
    });
    expect(await objectsIn(storage, bucket)).toEqual({ ...itself, older: 'o' });
  });

  it('counts an object once that lies below several of the prefixes', async () => {
    const { storage, coffer } = bench();
    await putObjects(storage, { 'old/a': 'aaa', 'old/sub/b': 'b', 'old/sub/c': 'c' });
    for (const confirm of [[], ['--confirm']]) {
      const ended = await coffer(['delete', 'old', 'old/', 'old/sub', '--prefix', '--json', ...confirm]);
      expect(ended.json).toMatchObject({ count: 3, bytes: 5, failed: [] });
    }
  });

  it('deletes the objects that are named', async () => {
    const { bucket, storage, coffer } = bench();
    await putObjects(storage, { a: 'a', b: 'b', 'c/d': 'd', 'c/e': 'e' });
    const ended = await coffer(['delete', 'a', 'c/d', 'a\u0001', '--confirm', '--json']);
    expect(ended.code).toBe(1);
    expect(ended.json).toMatchObject({ dry_run: false, count: 2, bytes: 2, failed: [{ key: 'a\u0001', code: 'invalid_key' }] });
    expect(ended.stderr).toMatch(/^invalid_key: a\\u\{1\}: /);
    expect(await objectsIn(storage, bucket)).toEqual({ b: 'b', 'c/e': 'e' });
  });

  it('deletes only what the patterns select, by its name below the prefix', async () => {
    const { bucket, storage, coffer } = bench();
    await putObjects(storage, { 'new/a.tmp': '1', 'old/a.tmp': '2', 'old/b': '3', 'old/sub/a.tmp': '4', 'x.tmp': '5', y: '6' });
    const below = await coffer(['delete', 'old', 'new', '--prefix', '--include', '/*.tmp', '--confirm', '--json']);
    expect(below.json).toMatchObject({ keys: ['old/a.tmp', 'new/a.tmp'], count: 2, failed: [] });
    const named = await coffer(['delete', 'x.tmp', 'y', 'x.tmp', '--exclude', 'y', '--confirm', '--json']);
    expect(named.json).toMatchObject({ keys: ['x.tmp'], count: 1, failed: [] });
    expect(await objectsIn(storage, bucket)).toEqual({ 'old/b': '3', 'old/sub/a.tmp': '4', y: '6' });
    expect((await coffer(['delete', 'old'])).stderr).toBe(
      'note: there is no object old; there are objects below old/: use --prefix to delete those.\n',
    );
  });

  it('says of prefixes that there is nothing below them, and that they are no patterns', async () => {
    const { storage, coffer } = bench();
    await putObjects(storage, { 'docs/a': 'x', doc2: 'x' });
    for (const [prefix, message] of [
      ['doc2', 'there are no objects below doc2/.'],
      ['docs/*', 'there are no objects below docs/*/. Keys are not patterns; use --recursive with --include.'],
    ] as const) {
      const stderr = `note: ${message}\n`;
      for (const confirm of [[], ['--confirm']])
        expect(await coffer(['delete', prefix, '--prefix', ...confirm])).toMatchObject({ code: 0, stderr });
    }
    const several = ['delete', 'docs', 'doc', 'docs/', 'docs/sub', 'dox', '--prefix'];
    await putObjects(storage, { 'docs/sub/b': 'x' });
    const stderr = 'note: there are no objects below doc/.\nnote: there are no objects below dox/.\n';
    for (const confirm of [[], ['--confirm']]) expect(await coffer([...several, ...confirm])).toMatchObject({ code: 0, stderr });
  });

  it('needs either to read or to list the objects that are named', async () => {
    const { bucket, env, storage, coffer } = bench();
    if (store === 'local') return;
    const refusing = async (...refused: readonly ('list' | 'read')[]): Promise<Ended> => {
      await putObjects(storage, { a: 'a', 'b/c': 'bc' });
      const front = await startFront(env['STORAGE_S3_ENDPOINT'] ?? '', (method) => {
        if (method === 'HEAD') return refused.includes('read') ? { status: 403, body: '' } : undefined;
        const body = '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>';
        return method === 'GET' && refused.includes('list') ? { status: 403, body } : undefined;
      });
      const ended = await coffer(['delete', 'a', 'no', 'b/c', '--confirm', '--json'], { STORAGE_S3_ENDPOINT: front.endpoint });
      front.stop();
      return ended;
    };
    const unlisted = await refusing('list');
    expect(unlisted).toMatchObject({
      code: 0,
      stderr: 'note: there is no object no.\n',
      json: { keys: ['a', 'b/c'], bytes: 3, failed: [] },
    });
    expect(await objectsIn(storage, bucket)).toEqual({});
    // Not even a listing tells for sure that an object does not exist: MinIO does not list what lies below another one.
    const unread = await refusing('read');
    expect(unread).toMatchObject({ code: 1, json: { keys: ['a', 'b/c'], bytes: 3, failed: [{ key: 'no', code: 'access_denied' }] } });
    expect(await objectsIn(storage, bucket)).toEqual({});
    expect((await refusing('list', 'read')).json).toMatchObject({ keys: [], failed: [{}, {}, {}] });
    expect(await objectsIn(storage, bucket)).toEqual({ a: 'a', 'b/c': 'bc' });
  });

  it('takes more objects than a batch, a page or a request holds', async () => {
    const { bucket, storage, coffer } = bench();
    const many = Array.from({ length: 1203 }, (_, index) => [`many/${String(index).padStart(4, '0')}`, 'x'] as const);
    for (let start = 0; start < many.length; start += 50) await putObjects(storage, Object.fromEntries(many.slice(start, start + 50)));
    const listed = await coffer(['list', 'many/', '--json']);
    expect(listed.json.objects.map(({ key }: { key: string }) => key)).toEqual(many.map(([key]) => key));
    expect(listed.json.truncated).toBe(false);
    const ended = await coffer(['delete', 'many', '--prefix', '--confirm', '--quiet']);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(/^deleted 1,203 objects \(1.17 KiB\) in [\d.]+ s\n$/);
    expect(await objectsIn(storage, bucket)).toEqual({});
  });
});
