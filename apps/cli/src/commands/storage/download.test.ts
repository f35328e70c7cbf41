import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, lstat, mkdir, open, readdir, readFile, readlink, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { filesIn, putFiles, putObjects } from '../../testing/files.ts';
import { describeStores } from '../../testing/stores.ts';

describeStores('download', (bench, store) => {
  it('writes one object to the file that is named, over the one that is there', async () => {
    const { folder, bucket, storage, coffer } = bench();
    await putObjects(storage, { 'uploads/file.pdf': 'a report' });
    await putFiles(folder, { 'local.pdf': 'something longer than that' });
    const ended = await coffer(['download', 'uploads/file.pdf', '--output', './local.pdf', '--json']);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.json).toEqual({
      downloaded: [
        { key: 'uploads/file.pdf', bucket, path: 'local.pdf', size_bytes: 8, etag: expect.stringMatching(/^[0-9a-f]{32}$/) as string },
      ],
      failed: [],
    });
    expect(await coffer(['download', 'uploads/file.pdf', '--output', 'new/sub/file'])).toMatchObject({ code: 0, stderr: '' });
    expect(await filesIn(folder)).toEqual({ 'local.pdf': 'a report', 'new/sub/file': 'a report' });
  });

  it('takes --output for a folder when it ends in "/", is one, or several keys come', async () => {
    const { folder, storage, coffer } = bench();
    await putObjects(storage, { 'a/x': 'ax', 'a/y': 'ay', 'b/x': 'bx', z: 'z' });
    await mkdir(join(folder, 'there'));
    await coffer(['download', 'a/x', '--output', 'slash/']);
    await coffer(['download', 'a/x', '--output', 'there']);
    await coffer(['download', 'a/y', 'z', 'a/y', '--output', 'several']);
    await coffer(['download', 'a/x', 'b/x', 'z', '--output', 'meeting']);
    await coffer(['download', 'z', 'z', '--output', 'twice']);
    await coffer(['download', 'z', '--output', 'new/..']);
    await coffer(['download', 'a/x', 'z', '--exclude', 'z', '--output', 'chosen']);
    expect(await filesIn(folder)).toEqual({
      'slash/x': 'ax',
      'there/x': 'ax',
      'several/y': 'ay',
      'several/z': 'z',
      'meeting/a/x': 'ax',
      'meeting/b/x': 'bx',
      'meeting/z': 'z',
      twice: 'z',
      'chosen/x': 'ax',
      z: 'z',
    });
  });

  it('places what is below a prefix by its path below it', async () => {
    const { folder, storage, coffer } = bench();
    await putObjects(storage, {
      'docs/': '', // as consoles make it
      'docs/a.txt': 'a',
      'docs/sub/b.txt': 'b',
      'docs/empty': '',
      'docs-old/c.txt': 'c',
      other: 'o',
    });
    const ended = await coffer(['download', 'docs', '--output', 'copy', '--recursive']);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(await coffer(['download', 'docs', '-o', 'copy', '-r', '--include', '*.none'])).toMatchObject({ code: 0, stderr: '' });
    expect(await filesIn(folder)).toEqual({ 'copy/a.txt': 'a', 'copy/sub/b.txt': 'b', 'copy/empty': '' });
    const update = await coffer(['download', 'docs', '--output', 'copy', '--recursive', '--update', '--json']);
    expect(update.json).toEqual({ downloaded: [], failed: [] });
    const dry = await coffer(['download', 'docs', '--output', 'copy', '--recursive', '--update', '--dry-run', '--json']);
    expect(dry.json).toEqual({ dry_run: true, downloaded: [], failed: [] });
  });

  it('refuses keys that look like leftovers of an earlier download', async () => {
    const { folder, storage, coffer } = bench();
    await putObjects(storage, { 'docs/a': 'a', 'docs/.coffer-0123456789ab.part': 'b', 'docs/sub/.coffer-0123456789ab.part.log': 'c' });
    const ended = await coffer(['download', 'docs', '-r', '-o', 'out', '--json']);
    expect(ended.code).toBe(1);
    expect(ended.json.failed.map(({ code }: { code: string }) => code)).toEqual(['unsafe_path', 'unsafe_path']);
    expect(await filesIn(folder)).toEqual({ 'out/a': 'a' });
  });

  it('names what fails, and does the rest', async () => {
    const { folder, storage, coffer } = bench();
    await putObjects(storage, { 'docs/a': 'a', 'docs/b': 'b', 'docs/c/d': 'd', 'docs/e/f': 'f', 'docs/': 'not nothing', 'docs/g/': '' });
    await mkdir(join(folder, 'out/a'), { recursive: true });
    await putFiles(folder, { 'out/c': 'a file where a folder has to be', 'elsewhere/g': 'g' });
    await symlink('../elsewhere', join(folder, 'out/e'));
    const ended = await coffer(['download', 'docs', '-r', '-o', 'out', '--json']);
    expect(ended.code).toBe(1);
    expect(ended.json.downloaded.map(({ key }: { key: string }) => key).toSorted()).toEqual(['docs/b', 'docs/g/']);
    expect(new Map(ended.json.failed.map((failure: { key: string; code: string }) => [failure.key, failure.code]))).toEqual(
      new Map([
        ['docs/', 'is_a_directory'],
        ['docs/a', 'is_a_directory'],
        ['docs/c/d', 'path_conflict'],
        ['docs/e/f', 'unsafe_path'],
      ]),
    );
    expect(ended.stderr).toContain('"download --output - docs/" writes it to stdout');
    expect(await filesIn(folder)).toMatchObject({ 'out/b': 'b', 'elsewhere/g': 'g' });
    expect(Object.keys(await filesIn(folder)).filter((name) => name.includes('.part'))).toEqual([]);
    expect(await coffer(['download', 'nosuch', '-o', 'x'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^file_not_found: nosuch: /) as string,
    });
    expect(await coffer(['download', 'nosuch', '-r', '-o', 'x'])).toMatchObject({ code: 1 });
    await putObjects(storage, { "Bob's $HOME/": 'not nothing' });
    expect((await coffer(['download', "Bob's $HOME", '-r', '-o', 'out'])).stderr).toContain(
      String.raw`"download --output - 'Bob'\''s $HOME/'" writes it to stdout`,
    );
    expect((await coffer(['download', 'docs/', '-o', 'x', '--json'])).json.failed).toMatchObject([
      { key: 'docs/', code: 'is_a_directory', message: expect.stringContaining('--recursive') as string },
    ]);
    expect((await coffer(['download', '-o', 'x', '--', '-d/'])).stderr).toContain('use "download --recursive -- -d/" for');
    expect(await readdir(folder)).not.toContain('x');
  });

  it('says of a key that is none whether there is a folder of the name', async () => {
    const { storage, coffer } = bench();
    await putObjects(storage, { 'docs/a': 'a', doc2: 'x' });
    const hint = 'There is no such object, but there are objects below docs/; use --recursive for those.';
    for (const args of [
      ['download', '-o', 'x', 'docs'],
      ['download', '-o', 'x', 'docs', '--dry-run'],
      ['copy', 'docs', 'other'],
      ['move', 'docs', 'other', '--dry-run'],
    ]) {
      const { code, json } = await coffer([...args, '--json']);
      expect([code, json.failed]).toEqual([1, [{ key: 'docs', code: 'file_not_found', message: hint }]]);
    }
    expect((await coffer(['download', '-o', 'x', 'doc'])).stderr).not.toContain('--recursive');
    expect((await coffer(['download', '-o', '-', 'docs'])).stderr).toContain(hint);
  });

  it('says of a folder that is none how an object of the name is named', async () => {
    const { storage, coffer } = bench();
    await putObjects(storage, { doc2: 'x' });
    const hint = 'There are no objects below doc2/; to name an object doc2, leave out --recursive.';
    for (const args of [
      ['download', '-o', 'x', '-r', 'doc2'],
      ['copy', '-r', 'doc2', 'other'],
      ['move', '-r', 'doc2/', 'other', '--dry-run'],
    ]) {
      const { code, json } = await coffer([...args, '--json']);
      expect([code, json.failed]).toMatchObject([1, [{ code: 'file_not_found', message: hint }]]);
    }
    const { json } = await coffer(['download', '-o', 'x', '-r', '/', '/doc2', '--json']);
    expect(json.failed).toMatchObject([{ message: 'There are no objects below /.' }, { message: 'There are no objects below /doc2/.' }]);
  });

  it('says that keys are no patterns, if there is no object of that name', async () => {
    const { storage, coffer } = bench();
    await putObjects(storage, { 'docs/a': 'x', 'docs/*': 'star' });
    const hint = ' Keys are not patterns; use --recursive with --include.';
    for (const [args, message] of [
      [['download', '-o', 'x', 'docs/a*'], `There is no such object.${hint}`],
      [['download', '-o', 'x', '-r', 'docs/?'], `There are no objects below docs/?/.${hint}`],
      [['copy', 'docs/a*', 'other/'], `There is no such object.${hint}`],
      [['move', '-r', '*', 'other'], `There are no objects below */.${hint}`],
    ] as const) {
      const { code, json } = await coffer([...args, '--json']);
      expect([code, json.failed]).toMatchObject([1, [{ code: 'file_not_found', message }]]);
    }
    expect((await coffer(['delete', 'docs/a*'])).stderr).toBe(`note: there is no object docs/a*.${hint}\n`);
    expect(await coffer(['download', '-o', '-', 'docs/*'])).toMatchObject({ code: 0, stdout: 'star' });
  });

  it('fails an object that maps to the file of an earlier prefix, and does not overwrite that', async () => {
    const { folder, storage, coffer } = bench();
    await putObjects(storage, { 'a/f': '1', 'a/x/y': '2', 'b/f': '3', 'b/g': '4', 'b/é': '5', 'c/f': '6', 'c/é': '7' });
    await putObjects(storage, { 'a/x/': '', 'b/x/': '' }); // a folder can be both
    const ended = await coffer(['download', 'a', 'a/', 'b', 'c', '-r', '-o', 'out', '--json']);
    expect(ended.code).toBe(1);
    expect(ended.json.failed).toMatchObject([
      { key: 'b/f', code: 'path_conflict', message: 'a/f would become the same file.' },
      { key: 'c/f', code: 'path_conflict' },
      { key: 'c/é', code: 'path_conflict', message: 'b/é would become the same file.' },
    ]);
    expect(await filesIn(folder)).toEqual({ 'out/f': '1', 'out/x/y': '2', 'out/g': '4', 'out/é': '5' });
  });

  it('makes no folder outside of --output, and says where a file is in the way', async () => {
    const { folder, storage, coffer } = bench();
    await putObjects(storage, { 'docs/out/deep/er/a': 'a', 'docs/gone/b': 'b', 'docs/in/c': 'c', 'docs/link': 'd' });
    await mkdir(join(folder, 'elsewhere'));
    await mkdir(join(folder, 'copy/real'), { recursive: true });
    await putFiles(folder, { file: 'f' });
    for (const [name, to] of Object.entries({ out: '../elsewhere', gone: '../nowhere', in: 'real', link: '../file' }))
      await symlink(to, join(folder, 'copy', name));
    const ended = await coffer(['download', 'docs', '-r', '-o', 'copy', '--json']);
    expect(ended.code).toBe(1);
    expect(ended.json.failed.map(({ key, code }: { key: string; code: string }) => `${key} ${code}`).toSorted()).toEqual([
      'docs/gone/b path_conflict',
      'docs/out/deep/er/a unsafe_path',
    ]);
    expect(await readdir(join(folder, 'elsewhere'))).toEqual([]);
    expect(await filesIn(folder)).toMatchObject({ file: 'f', 'copy/real/c': 'c', 'copy/link': 'd' });
    for (const output of ['file/', 'file/x'])
      expect(await coffer(['download', 'docs/link', '-o', output, '--json'])).toMatchObject({
        json: { failed: [{ code: 'path_conflict', message: 'file is a file, but a folder is needed there.' }] },
      });
    const nowhere = await coffer(['download', 'docs/link', '-o', '/proc/none/x', '--json']);
    expect(nowhere).toMatchObject({
      code: 1,
      json: {
        failed: [{ key: 'docs/link', code: 'no_such_file', message: expect.stringMatching(/^\/proc\/none\/x: No such file/) as string }],
      },
    });
  });

  it.skipIf(process.platform === 'win32')('leaves the permissions of the files that it writes over as they are', async () => {
    const { folder, storage, coffer } = bench();
    await putObjects(storage, { 'etc/secret': 'new', 'etc/run': 'new', 'etc/other': 'new' });
    await storage.uploadFile({ key: 'etc/large', body: Buffer.alloc(40 * 2 ** 20) });
    await putFiles(folder, { 'etc/secret': 'old', 'etc/run': 'old', 'etc/large': 'old', named: 'old' });
    const modes = { 'etc/secret': 0o600, 'etc/run': 0o750, 'etc/large': 0o600, named: 0o400 };
    for (const [name, mode] of Object.entries(modes)) await chmod(join(folder, name), mode);
    expect(await coffer(['download', 'etc', '-r', '-o', 'etc'])).toMatchObject({ code: 0 });
    expect(await coffer(['download', 'etc/secret', '-o', 'named'])).toMatchObject({ code: 0 });
    const found: Record<string, number> = {};
    for (const name of Object.keys(modes)) found[name] = (await lstat(join(folder, name))).mode & 0o777;
    expect(found).toEqual(modes);
    expect(await readFile(join(folder, 'named'), 'utf8')).toBe('new');
    expect((await lstat(join(folder, 'etc/other'))).mode & 0o777, 'a new one').toBe(0o666 & ~process.umask());
  });

  it('follows a link that --output names, and replaces nothing that is not a file', async () => {
    const { folder, storage, coffer } = bench();
    await putObjects(storage, { a: 'new' });
    await putFiles(folder, { 'real/file': 'old' });
    await symlink('real/file', join(folder, 'link'));
    const server = createServer().listen(join(folder, 'socket'));
    await once(server, 'listening');
    await symlink('socket', join(folder, 'to-socket'));
    expect(await coffer(['download', 'a', '-o', 'link'])).toMatchObject({ code: 0 });
    expect(await readlink(join(folder, 'link'))).toBe('real/file');
    expect(await filesIn(folder)).toEqual({ 'real/file': 'new' });
    await symlink('link-to-none', join(folder, 'link-to-link'));
    await symlink('real/none-yet', join(folder, 'link-to-none'));
    expect(await coffer(['download', 'a', '-o', 'link-to-link'])).toMatchObject({ code: 0 });
    expect(await filesIn(folder)).toEqual({ 'real/file': 'new', 'real/none-yet': 'new' });
    await symlink('real/deep', join(folder, 'into'));
    await symlink('into/../beside', join(folder, 'link-through-link'));
    await mkdir(join(folder, 'real/deep'));
    expect(await coffer(['download', 'a', '-o', 'link-through-link'])).toMatchObject({ code: 0 });
    expect(await filesIn(folder)).toEqual({ 'real/file': 'new', 'real/none-yet': 'new', 'real/beside': 'new' });
    for (const output of ['socket', 'to-socket'])
      expect(await coffer(['download', 'a', '-o', output, '--json'])).toMatchObject({
        code: 1,
        json: {
          downloaded: [],
          failed: [
            { key: 'a', code: 'not_a_file', message: `${output} is neither a file nor a directory; "--output -" writes to stdout.` },
          ],
        },
      });
    expect(await coffer(['download', 'a', '-o', '/dev/fd/2']), 'in a folder that takes no files').toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^not_a_file: a: \/dev\/fd\/2 is neither/) as string,
    });
    expect((await lstat(join(folder, 'socket'))).isSocket()).toBe(true);
    expect((await lstat(join(folder, 'to-socket'))).isSymbolicLink()).toBe(true);
    server.close();
  });

  it('writes one object to stdout, and everything else to stderr', async () => {
    const { folder, env, storage, cli, coffer } = bench();
    const bytes = randomBytes(40_000_000);
    await putObjects(storage, { big: bytes, small: 'small\n', empty: '' });
    expect(await coffer(['download', 'small', '-o', '-'])).toMatchObject({
      code: 0,
      stdout: 'small\n',
      stderr: expect.stringContaining('downloaded 1 object'),
    });
    expect(await coffer(['download', 'empty', '-o', '-'])).toMatchObject({ code: 0, stdout: '' });
    expect(await coffer(['download', 'small', '-o', '-', '--dry-run'])).toMatchObject({ code: 0, stdout: '' });
    expect(await coffer(['download', 'missing', '-o', '-'])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^file_not_found: missing/),
    });
    const target = await open(join(folder, 'copy'), 'w');
    expect(await cli.run(['storage', 'download', 'big', '-o', '-'], { cwd: folder, env, stdout: target.fd })).toMatchObject({ code: 0 });
    await target.close();
    expect((await readFile(join(folder, 'copy'))).equals(bytes)).toBe(true);

    const cut = cli.start(['storage', 'download', 'big', '-o', '-'], { cwd: folder, env });
    cut.child.stdout!.destroy(); // as `head` does
    expect(await cut.ended).toMatchObject({ code: 0, stderr: '' });
    const stalled = cli.start(['storage', 'download', 'big', '-o', '-'], { cwd: folder, env });
    stalled.child.stdout!.removeAllListeners('data').pause();
    await new Promise((resolve) => setTimeout(resolve, 1500)); // a delay, because listening for the child's bytes would make them flow
    stalled.child.kill('SIGTERM');
    expect(await once(stalled.child, 'exit')).toEqual([143, null]);
    for (const args of [
      ['small', 'big'],
      ['small', '-r'],
      ['small', '--json'],
      ['small', '--update'],
      ['small', '--resume'],
      ['small', '--exclude', 'x'],
    ]) {
      expect((await coffer(['download', '-o', '-', ...args])).code).toBe(2);
    }
  });

  describe('of a large object', () => {
    it('comes in pieces that make the whole, with or without a listing', async () => {
      const { folder, storage, coffer } = bench();
      const bytes = randomBytes(50_000_001);
      await putObjects(storage, { 'big/one': bytes });
      expect(await coffer(['download', 'big/one', '-o', 'one'])).toMatchObject({ code: 0, stderr: '' });
      expect(await coffer(['download', 'big', '-r', '-o', 'all'])).toMatchObject({ code: 0, stderr: '' });
      expect(await coffer(['upload', 'one', '--key', 'big/one', '--update', '--json'])).toMatchObject({ json: { uploaded: [] } });
      expect(await coffer(['upload', 'all/one', '--key', 'two'])).toMatchObject({ code: 0 });
      expect((await storage.downloadFile('two')).equals(bytes)).toBe(true);
      expect((await readdir(folder)).toSorted()).toEqual(['all', 'one']);
    });

    it('leaves nothing after Ctrl-C, or with --resume what a later run goes on with', async () => {
      const { folder, storage, coffer, start } = bench();
      const bytes = randomBytes(90_000_000);
      await putObjects(storage, { big: bytes });
      const files = (): Promise<readonly string[]> => readdir(folder);
      const stopped = start(['download', 'big', '-o', 'big']);
      while ((await files()).length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      stopped.child.kill('SIGINT');
      expect(await stopped.ended).toMatchObject({ code: 130, stderr: 'interrupted: Stopped by SIGINT.\n' });
      expect(await files()).toEqual([]);

      const killed = start(['download', 'big', '-o', 'big', '--resume']);
      while ((await files()).length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
      killed.child.kill('SIGKILL');
      await killed.ended;
      expect(await files()).not.toContain('big');
      expect(await coffer(['download', 'big', '-o', 'big', '--resume'])).toMatchObject({ code: 0 });
      expect(await files()).toEqual(['big']);
      expect(await coffer(['download', 'big', '-o', 'big', '--update', '--json'])).toMatchObject({ json: { downloaded: [], failed: [] } });
    });
  });

  it('keeps two names apart that differ by case or accents, where the disk does', async () => {
    const { folder, storage, coffer } = bench();
    await putObjects(storage, { 'n/a': '1', 'n/A': '2', 'n/caf\u00e9': '3' });
    if (store !== 'minio') await putObjects(storage, { 'n/cafe\u0301': '4' });
    const ended = await coffer(['download', 'n', '-r', '-o', 'out']);
    expect(ended.code).toBe(0);
    expect(Object.values(await filesIn(folder)).toSorted()).toEqual(store === 'minio' ? ['1', '2', '3'] : ['1', '2', '3', '4']);
  });
});
