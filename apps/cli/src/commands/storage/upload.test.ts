import { randomBytes } from 'node:crypto';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

import { expect, it } from 'vitest';

import { objectsIn, putFiles } from '../../testing/files.ts';
import { openUploads } from '../../testing/open-uploads.ts';
import { describeStores } from '../../testing/stores.ts';

/** Yields more than any part of an upload holds, for as long as somebody reads. */
function endless(): Readable {
  const chunk = Buffer.alloc(2 ** 20);
  return Readable.from(
    (async function* () {
      for (;;) {
        yield chunk;
        await delay(20);
      }
    })(),
    { objectMode: false },
  );
}

describeStores('upload', (bench, store) => {
  it('makes an object of a file, under its name or the key that is given', async () => {
    const { folder, bucket, storage, coffer } = bench();
    await putFiles(folder, { 'sub/report.pdf': 'a report' });
    expect(await coffer(['upload', 'sub/report.pdf'])).toMatchObject({ code: 0, stderr: '' });
    const ended = await coffer(['upload', 'sub/report.pdf', '--key', 'uploads/file', '--json']);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.json).toEqual({
      uploaded: [
        { key: 'uploads/file', bucket, path: 'sub/report.pdf', size_bytes: 8, etag: expect.stringMatching(/^[0-9a-f]{32}$/) as string },
      ],
      failed: [],
    });
    expect(await objectsIn(storage, bucket)).toEqual({ 'report.pdf': 'a report', 'uploads/file': 'a report' });
    expect(await storage.getFileInfo('uploads/file')).toMatchObject({ contentType: 'application/pdf' });
    await coffer(['upload', 'sub/report.pdf', '--key', 'page.html']);
    expect(await storage.getFileInfo('page.html')).toMatchObject({ contentType: 'text/html' });
  });

  it('says once how to create the bucket that all files, or stdin, lack', async () => {
    const { folder, bucket, coffer } = bench();
    await putFiles(folder, { 'site/a': 'a', 'site/b': 'b' });
    const ended = await coffer(['upload', 'site', '-r', '--bucket', `${bucket}-new`]);
    expect(ended.code).toBe(1);
    expect(ended.stderr.match(/^no_such_bucket: site\/[ab]: /gm)).toHaveLength(2);
    expect(ended.stderr.match(new RegExp(`^note: "coffer storage buckets create ${bucket}-new"`, 'gm'))).toHaveLength(1);
    expect((await coffer(['upload', '-', '--key', 'k', '--bucket', `${bucket}-new`])).stderr).toContain(
      `note: "coffer storage buckets create ${bucket}-new"`,
    );
  });

  it('lists files in the order in which they were named, whichever is there first', async () => {
    const { folder, coffer } = bench();
    await putFiles(folder, { large: randomBytes(30_000_000), 'z.txt': 'z', 'a.txt': 'a' });
    const ended = await coffer(['upload', 'large', 'z.txt', 'a.txt', '--json']);
    expect(ended.json.uploaded.map(({ key }: { key: string }) => key)).toEqual(['large', 'z.txt', 'a.txt']);
  });

  it('takes what is in a directory by its path below it', async () => {
    const { folder, bucket, storage, coffer } = bench();
    await putFiles(folder, { 'documents/a.txt': 'a', 'documents/sub/deep/b.txt': 'b', 'documents/.hidden': 'h', 'documents/empty': '' });
    const ended = await coffer(['upload', './documents/', '--prefix', 'uploads/docs', '--recursive']);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toContain('uploaded documents/sub/deep/b.txt -> ');
    expect(await objectsIn(storage, bucket)).toEqual({
      'uploads/docs/.hidden': 'h',
      'uploads/docs/a.txt': 'a',
      'uploads/docs/empty': '',
      'uploads/docs/sub/deep/b.txt': 'b',
    });
  });

  it('names what fails, and does the rest', async () => {
    const { folder, bucket, storage, coffer } = bench();
    await putFiles(folder, { 'tree/a.txt': 'a', 'tree/bad\nname': 'x' });
    await mkdir(join(folder, 'tree/sub'));
    await symlink('..', join(folder, 'tree/sub/loop'));
    await symlink('nowhere', join(folder, 'tree/dangling'));
    const ended = await coffer(['upload', 'tree', 'missing.txt', '--recursive', '--json']);
    expect(ended.code).toBe(1);
    expect(ended.json.uploaded).toMatchObject([{ key: 'a.txt' }]);
    expect(new Map(ended.json.failed.map((failure: { path: string; code: string }) => [failure.path, failure.code]))).toEqual(
      new Map([
        ['missing.txt', 'no_such_file'],
        ['tree/bad\nname', 'invalid_key'],
        ['tree/sub/loop', 'symlink_loop'],
        ['tree/dangling', 'no_such_file'],
      ]),
    );
    expect(ended.stderr.trim().split('\n')).toHaveLength(4);
    expect(ended.stderr).toContain('no_such_file: tree/dangling: The target of the symbolic link does not exist.\n');
    expect(await objectsIn(storage, bucket)).toEqual({ 'a.txt': 'a' });
  });

  it.skipIf(process.platform === 'win32')('explains how to upload a pipe that is named, and does not wait for its content', async () => {
    const { folder, coffer } = bench();
    await promisify(execFile)('mkfifo', [join(folder, 'pipe')]);
    const message = 'It is a pipe; use "upload - --key KEY" to upload from stdin.';
    expect(await coffer(['upload', 'pipe', '--key', 'a', '--json'])).toMatchObject({
      code: 1,
      json: { uploaded: [], failed: [{ path: 'pipe', code: 'not_a_file', message }] },
    });
  });

  it('explains --prefix when a destination is named after the files, as in other tools', async () => {
    const { folder, coffer } = bench();
    await putFiles(folder, { 'a.txt': 'a' });
    const ended = await coffer(['upload', 'a.txt', 's3://bucket/docs/', '--json']);
    expect(ended).toMatchObject({ code: 1, json: { failed: [{ path: 's3://bucket/docs/', code: 'no_such_file' }] } });
    expect(ended.stderr).toMatch(/^note: s3:\/\/bucket\/docs\/ .*--bucket/);
    expect(ended.stderr).toContain('--prefix');
  });

  it('leaves out what Coffer itself keeps on the disk, its secret for one, and says so', async () => {
    const { folder, coffer } = bench();
    await putFiles(folder, { 'tree/a.txt': 'a', 'tree/.own/kept': 'hidden', 'tree/sub/.own/b.txt': 'b' });
    await symlink('../.own', join(folder, 'tree/sub/linked'));
    await symlink('../.own/kept', join(folder, 'tree/sub/link.txt'));
    const own = { COFFER_DATA_DIR: join(folder, 'tree/.own') };
    const ended = await coffer(['upload', 'tree', '-r', '--json'], own);
    expect(ended.code).toBe(0);
    expect(ended.stderr.trim().split('\n').toSorted()).toEqual(
      ['tree/.own', 'tree/sub/link.txt', 'tree/sub/linked'].map((path) => `skipped ${path}: Coffer keeps its own data there.`),
    );
    expect(ended.json.uploaded.map(({ key }: { key: string }) => key).toSorted()).toEqual(['a.txt', 'sub/.own/b.txt']);

    await putFiles(folder, { 'tree/.own/sub/c.txt': 'c', 'beside.txt': 'beside' });
    const named = ['tree/.own/kept', 'tree/sub/link.txt', 'tree/.own/sub/c.txt', 'tree/.own/sub', 'tree/.own'];
    const refused = await coffer(['upload', ...named, 'beside.txt', '-r', '--json'], own);
    expect(refused.code).toBe(1);
    expect(refused.json.failed.map(({ code, path }: { code: string; path: string }) => `${code} ${path}`)).toEqual(
      named.map((path) => `own_data ${path}`),
    );
    expect(refused.json.uploaded.map(({ key }: { key: string }) => key)).toEqual(['beside.txt']);

    if (store !== 'local') return;
    const elsewhere = await coffer(['upload', 'tree/sub', '-r', '--json'], {
      ...own,
      STORAGE_LOCAL_PATH: join(folder, 'tree/sub/objects'),
    });
    expect(elsewhere.stderr).toContain('skipped tree/sub/objects: Coffer keeps its own data there.\n');
    expect(elsewhere.json.uploaded.map(({ key }: { key: string }) => key)).toEqual(['.own/b.txt']);
  });

  it.runIf(process.platform === 'linux')('reports files whose names are not valid UTF-8', async () => {
    const { folder, bucket, storage, coffer } = bench();
    await putFiles(folder, { 'tree/a.txt': 'a', 'tree/\ufffd': 'a character like others' });
    await writeFile(Buffer.concat([Buffer.from(join(folder, 'tree/b')), Buffer.of(0xff)]), 'b');
    await writeFile(Buffer.concat([Buffer.from(join(folder, 'tree/')), Buffer.of(0xff)]), 'no character');
    const ended = await coffer(['upload', 'tree', '-r']);
    expect(ended.code).toBe(1);
    expect(ended.stderr.trim().split('\n').toSorted()).toEqual(
      ['tree/b\ufffd', 'tree/\ufffd'].map((path) => `unsafe_path: ${path}: The name is not valid UTF-8, as keys must be; rename it.`),
    );
    expect(await objectsIn(storage, bucket)).toEqual({ 'a.txt': 'a', '\ufffd': 'a character like others' });
    // Nobody can see what is in such a folder.
    await mkdir(Buffer.concat([Buffer.from(join(folder, 'tree/c')), Buffer.of(0xff)]));
    expect((await coffer(['upload', 'tree', '-r', '--include', '*.txt', '--json'])).json.failed).toMatchObject([{ path: 'tree/c\ufffd' }]);
  });

  it('uploads what comes on stdin, of whatever length, under the key that is given', async () => {
    const { folder, bucket, env, storage, cli, coffer } = bench();
    const run = (args: readonly string[], stdin: string) => cli.run(['storage', 'upload', ...args], { cwd: folder, env, stdin });
    const long = 'line\n'.repeat(4_000_000);
    expect(await run(['-', '--key', 'logs/long.txt', '--json'], long)).toMatchObject({
      code: 0,
      json: { uploaded: [{ key: 'logs/long.txt', bucket, path: '-', size_bytes: long.length }], failed: [] },
    });
    expect((await storage.downloadFile('logs/long.txt')).equals(Buffer.from(long))).toBe(true);
    expect((await storage.getFileInfo('logs/long.txt')).contentType).toMatch(/^text\/plain/);
    expect(await run(['-', '-k', 'none', '--content-type', 'a/b'], '')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('- -> '),
    });
    expect(await storage.getFileInfo('none')).toMatchObject({ size: 0, contentType: 'a/b' });

    await putFiles(folder, { '-': 'a file', 'sub/-': 'another' });
    expect(await run(['./-', '--key', 'file'], 'stdin')).toMatchObject({ code: 0 });
    expect(await run(['sub', '-r'], 'stdin')).toMatchObject({ code: 0 });
    expect(await objectsIn(storage, bucket)).toMatchObject({ file: 'a file', '-': 'another' });
    const directory = await open(folder);
    expect(await cli.run(['storage', 'upload', '-', '-k', 'x', '--json'], { cwd: folder, env, stdin: directory.fd })).toMatchObject({
      code: 1,
      json: { uploaded: [], failed: [{ path: '-', code: 'is_a_directory' }] },
    });
    await directory.close();
    for (const args of [
      ['-'],
      ['-', 'sub/-', '-k', 'x'],
      ['-', '-r', '-k', 'x'],
      ['-', '-k', 'x', '--update'],
      ['-', '-k', 'x', '--include', 'x'],
    ]) {
      expect(await coffer(['upload', ...args])).toMatchObject({ code: 2, stdout: '' });
    }
  });

  it('leaves nothing of what comes on stdin when it is stopped, whether or not more comes', async () => {
    const { folder, bucket, env, storage, cli } = bench();
    const silent = new Readable({ read() {} });
    silent.push(Buffer.alloc(2 ** 20)); // more than a pipe holds
    for (const [stdin, chunks] of [
      [endless(), 40],
      [silent, 1],
    ] as const) {
      const running = cli.start(['storage', 'upload', '-', '--key', 'half'], { cwd: folder, env, stdin });
      for (let read = 0; read < chunks; read++) await once(running.child.stdin!, 'drain');
      running.child.kill('SIGINT');
      expect(await running.ended).toMatchObject({ code: 130, stderr: 'interrupted: Stopped by SIGINT.\n' });
    }
    expect(await objectsIn(storage, bucket)).toEqual({});
    if (store !== 'local') expect(await openUploads(env, bucket)).toEqual([]);
  });

  it('leaves out what is there already, with --update', async () => {
    const { folder, bucket, storage, coffer } = bench();
    const big = randomBytes(20_000_000);
    await putFiles(folder, { 'tree/a': 'aaa', 'tree/b': 'bbb', 'tree/big': big });
    await coffer(['upload', 'tree', '-r']);
    await putFiles(folder, { 'tree/b': 'BBB', 'tree/c': 'c' });
    const dry = await coffer(['upload', 'tree', '-r', '--update', '--dry-run', '--json']);
    expect(dry.json.uploaded.map(({ key }: { key: string }) => key).toSorted()).toEqual(['b', 'c']);
    const ended = await coffer(['upload', 'tree', '-r', '--update', '--json']);
    expect(ended.json.uploaded.map(({ key }: { key: string }) => key).toSorted()).toEqual(['b', 'c']);
    expect((await storage.downloadFile({ bucket, key: 'big' })).equals(big)).toBe(true);
  });

  it('resolves .. after a link as the system does', async () => {
    const { folder, bucket, storage, coffer } = bench();
    await putFiles(folder, { 'other/d/x': 'x', 'other/f': 'right', f: 'wrong' });
    await symlink('other/d', join(folder, 'link'));
    expect(await coffer(['upload', 'link/../', '-r', '-p', 'p'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('uploaded link/../f -> '),
    });
    expect(await coffer(['upload', 'link/..', '-r'])).toMatchObject({ code: 0 });
    expect(await objectsIn(storage, bucket)).toEqual({ f: 'right', 'd/x': 'x', 'p/f': 'right', 'p/d/x': 'x' });
  });

  it.runIf(process.platform === 'linux')('makes no empty object from a file that only claims to be empty', async () => {
    const { folder, bucket, storage, coffer } = bench();
    await putFiles(folder, { empty: '' });
    const ended = await coffer(['upload', '/proc/self/status', 'empty', '--json']);
    expect(ended).toMatchObject({ code: 1, json: { failed: [{ path: '/proc/self/status', code: 'not_a_file' }] } });
    expect(ended.stderr).toContain('pipe');
    expect(await objectsIn(storage, bucket)).toEqual({ empty: '' });
  });

  it('chooses by patterns', async () => {
    const { folder, bucket, storage, coffer } = bench();
    await putFiles(folder, { 'tree/a.txt': '1', 'tree/a.tmp': '2', 'tree/sub/b.txt': '3', 'tree/sub/c.md': '4', 'tree/skip/d.txt': '5' });
    await coffer(['upload', 'tree', '-r', '--include', '*.txt', '--include', '**/*.md', '--exclude', 'skip/**']);
    expect(Object.keys(await objectsIn(storage, bucket))).toEqual(['a.txt', 'sub/b.txt', 'sub/c.md']);
  });

  it('says nothing of bad entries that the patterns leave out', async () => {
    const { folder, bucket, storage, coffer } = bench();
    await putFiles(folder, { 'tree/a.txt': 'a', 'tree/sub/b.md': 'b' });
    await symlink('nowhere', join(folder, 'tree/dangling'));
    await symlink('..', join(folder, 'tree/sub/loop'));
    await symlink('/dev/null', join(folder, 'tree/device'));
    expect(await coffer(['upload', 'tree', '-r', '--include', '*.txt'])).toMatchObject({ code: 0, stderr: '' });
    expect(await objectsIn(storage, bucket)).toEqual({ 'a.txt': 'a' });
    const excluded = ['dangling', 'device', 'sub/loop'].flatMap((name) => ['--exclude', name]);
    expect(await coffer(['upload', 'tree', '-r', ...excluded])).toMatchObject({ code: 0, stderr: '' });
    expect(await coffer(['upload', 'tree/a.txt', 'tree/dangling', 'tree/device', ...excluded])).toMatchObject({ code: 0, stderr: '' });
    const ended = await coffer(['upload', 'tree', '-r', '--exclude', 'dangling', '--json']);
    expect(ended.json.failed.map(({ path }: { path: string }) => path).toSorted()).toEqual(['tree/device', 'tree/sub/loop']);
  });

  it('shows what it would do, and does nothing, with --dry-run', async () => {
    const { folder, bucket, storage, coffer } = bench();
    await putFiles(folder, { 'a.txt': 'abc' });
    const ended = await coffer(['upload', 'a.txt', '--dry-run', '--json']);
    expect(ended.json).toEqual({ dry_run: true, uploaded: [{ key: 'a.txt', bucket, path: 'a.txt', size_bytes: 3 }], failed: [] });
    for (const source of ['a.txt', '-']) {
      const refused = await coffer(['upload', source, '--key', 'a/../b', '--dry-run', '--json']);
      expect([refused.code, refused.json.failed]).toMatchObject([1, [{ path: source, code: 'invalid_key' }]]);
    }
    expect(await objectsIn(storage, bucket)).toEqual({});
    const first = { STORAGE_AUTO_PROVISION: 'true', STORAGE_BUCKET: 'cli-not-used-yet' };
    expect(await coffer(['upload', 'a.txt', '--dry-run'], first)).toMatchObject({ code: 0 });
    expect(await storage.bucketExists('cli-not-used-yet')).toBe(false);
  });

  it('sets ACL, storage class and type', async () => {
    const { folder, storage, coffer } = bench();
    await putFiles(folder, { 'a.bin': 'abc' });
    const storageClass = store === 'ceph' ? 'STANDARD' : 'REDUCED_REDUNDANCY'; // Ceph has no other
    const ended = await coffer(['upload', 'a.bin', '--content-type', 'text/x-note', '--storage-class', storageClass]);
    expect(ended.code).toBe(0);
    expect(await storage.getFileInfo('a.bin')).toMatchObject({ contentType: 'text/x-note', storageClass });
    const open = await coffer(['upload', 'a.bin', '--acl', 'public-read', '--json']);
    expect(open.code).toBe(store === 'minio' ? 1 : 0);
    if (store === 'minio') expect(open.json.failed).toMatchObject([{ path: 'a.bin', code: 'acl_not_supported' }]);
    else expect((await storage.getObjectAcl('a.bin')).grants).toHaveLength(2);
  });
});
