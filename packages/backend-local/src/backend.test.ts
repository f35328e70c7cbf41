import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, readdir, readlink, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { PassThrough, Readable } from 'node:stream';

import { noContext, observe, readAll, StorageService, wrapBackend } from '@coffer/storage-core';
import type { OperationEvent } from '@coffer/storage-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { localBackend } from './index.ts';
import { startChild } from './testing/child.ts';
import { filesIn, scratch } from './testing/storage.ts';

let path: string;
let remove: () => Promise<void>;

beforeEach(async () => {
  ({ path, remove } = await scratch());
});

afterEach(() => remove());

const at = { bucket: 'bucket', key: 'key' };
const data = (text: string): { readonly kind: 'buffer'; readonly data: Buffer } => ({ kind: 'buffer', data: Buffer.from(text) });

describe('a local backend', () => {
  it('touches the disk with the first call that needs it, and not before', async () => {
    const root = join(path, 'deep', 'down');
    await localBackend({ root, presign: { baseUrl: 'http://localhost', secret: 'a secret of the tests' } }).close();
    expect(existsSync(root)).toBe(false);
    const used = localBackend({ root });
    await used.check(noContext);
    expect(existsSync(root)).toBe(true);
    await used.close();
  });

  it('resolves a relative root against the working directory at its creation', async () => {
    const before = process.cwd();
    process.chdir(path);
    const backend = localBackend({ root: 'objects' });
    process.chdir(before);
    await backend.check(noContext);
    expect(existsSync(join(path, 'objects', 'index.db'))).toBe(true);
    await backend.close();
  });

  it.each(['', undefined, new URL('file:///tmp')])('refuses at once a root that is not a path: %s', (root) => {
    expect(() => localBackend({ root: root as string })).toThrowError(
      expect.objectContaining({ code: 'invalid_argument', message: 'The root of a local backend must be the path of a directory.' }),
    );
  });

  it.runIf(existsSync('/proc/self'))('reports that its directory cannot be created', async () => {
    await writeFile(join(path, 'file'), '');
    for (const [root, code] of [
      [join(path, 'file'), 'access_denied'],
      [join(path, 'file', 'below'), 'access_denied'],
      ['/proc/coffer/below', 'storage_unavailable'],
    ] as const) {
      const backend = localBackend({ root });
      await expect(backend.check(noContext)).rejects.toMatchObject({ code });
      await backend.close();
    }
  });

  it('is not healthy while its index cannot be read', async () => {
    const backend = localBackend({ root: path });
    await backend.check(noContext);
    const index = new DatabaseSync(join(path, 'index.db'));
    index.exec('ALTER TABLE buckets RENAME TO elsewhere');
    index.close();
    await expect(backend.check(noContext)).rejects.toMatchObject({ code: 'internal_error' });
    await backend.close();
  });

  it.runIf(existsSync('/proc/self/fd'))('leaves no file of its directory open when it is closed', async () => {
    const backend = localBackend({ root: path });
    await backend.check(noContext);
    const open = async (): Promise<readonly string[]> => {
      const targets = await Promise.all((await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
      return targets.filter((target) => target.startsWith(path));
    };
    expect(await open()).not.toEqual([]);
    await backend.close();
    expect(await open()).toEqual([]);
  });

  it('keeps its files private, even below a directory that other users may enter', async () => {
    await chmod(path, 0o755);
    const backend = localBackend({ root: path });
    await backend.buckets!.create('bucket', {}, noContext);
    await backend.put(at, data('bytes'), { contentType: 'a/b' }, noContext);
    const names = (await readdir(path)).sort();
    expect(names).toEqual(expect.arrayContaining(['bucket', 'index.db', 'index.db-shm', 'index.db-wal']));
    for (const name of names) expect([name, (await stat(join(path, name))).mode & 0o077]).toEqual([name, 0]);
    await backend.close();
  });

  it('finds everything again after it was closed, and leaves one file beside the bytes', async () => {
    const first = localBackend({ root: path, region: 'eu-test-1' });
    await first.buckets!.create('bucket', { acl: 'public-read' }, noContext);
    const options = { contentType: 'text/x-test', acl: 'public-read', storageClass: 'GLACIER', metadata: { a: 'b' } } as const;
    const written = await first.put(at, data('bytes'), options, noContext);
    await first.close();
    expect((await filesIn(path)).length).toBe(1);
    const second = localBackend({ root: path });
    expect(await second.head(at, noContext)).toEqual(written);
    expect(written).toMatchObject({ storageClass: 'GLACIER', contentType: 'text/x-test', metadata: { a: 'b' } });
    expect(await second.buckets!.head('bucket', noContext)).toMatchObject({ name: 'bucket', region: 'eu-test-1' });
    expect((await second.acl!.getObjectAcl(at, noContext)).grants).toHaveLength(2);
    await second.close();
  });

  it('lets calls under way end before it closes, and refuses new ones', async () => {
    const backend = localBackend({ root: path });
    await backend.buckets!.create('bucket', {}, noContext);
    const stream = new Readable({ read() {} });
    const upload = backend.put(at, { kind: 'stream', stream }, { contentType: 'a/b' }, noContext);
    const closing = backend.close();
    const refused = Readable.from(['x']);
    const late = backend.put(at, { kind: 'stream', stream: refused }, { contentType: 'a/b' }, noContext);
    await expect(late).rejects.toMatchObject({ code: 'storage_unavailable', retryable: false });
    expect(refused.destroyed).toBe(true);
    stream.push('whole');
    stream.push(null);
    expect((await upload).size).toBe(5);
    await closing;
    await backend.close(); // closing twice does no harm
  });

  it('closes the files of open bodies with it: whoever reads them fails', async () => {
    const backend = localBackend({ root: path });
    await backend.buckets!.create('bucket', {}, noContext);
    await backend.put(at, data('x'.repeat(1_000_000)), { contentType: 'a/b' }, noContext);
    const open = async (): Promise<Readable> => {
      const result = await backend.get(at, {}, noContext);
      return result.kind === 'object' ? result.body : expect.fail();
    };
    const [forgotten, begun, read] = [await open(), await open(), await open()];
    await once(begun, 'readable');
    expect((await readAll(read)).length).toBe(1_000_000);
    await backend.close();
    expect([forgotten.closed, begun.closed]).toEqual([true, true]);
    for (const body of [forgotten, begun]) await expect(readAll(body)).rejects.toMatchObject({ code: 'storage_unavailable' });
  });

  it('takes up to 1,000 keys in a batch, of which a bad one is an error of its own', async () => {
    const backend = localBackend({ root: path });
    await backend.buckets!.create('bucket', {}, noContext);
    await backend.put(at, data('x'), { contentType: 'a/b' }, noContext);
    const { deleted, errors } = await backend.batchDelete!.deleteMany('bucket', ['key', 'absent', '../bad', 'key'], noContext);
    expect(deleted).toEqual(['key', 'absent']);
    expect(errors).toMatchObject([{ key: '../bad', code: 'invalid_key' }]);
    const tooMany = backend.batchDelete!.deleteMany('bucket', Array.from({ length: 1001 }, String), noContext);
    await expect(tooMany).rejects.toMatchObject({ code: 'invalid_argument' });
    await backend.close();
  });

  it('works under a StorageService, with layers around it', async () => {
    const events: OperationEvent[] = [];
    const local = localBackend({ root: path });
    const backend = { ...wrapBackend(local, observe({ operation: (event) => void events.push(event) })), access: local.access };
    const storage = new StorageService({ backend, defaultBucket: 'bucket', autoProvision: true });
    await storage.uploadFile({ key: 'hello.txt', body: 'hello' });
    expect((await storage.downloadFile('hello.txt')).toString()).toBe('hello');
    expect(events.map(({ operation }) => operation)).toContain('upload');
    await storage.shutdown();
  });

  it('does not keep a process alive that forgot to close it, not even with its hash thread', async () => {
    const child = startChild(new URL('./testing/forgetful.ts', import.meta.url), [path]);
    expect(await child.ended).toBe(0);
    expect(child.lines).toEqual(['5000000']);
  });
});

describe('a directory that is taken away from a running process', () => {
  it.each<[string, (root: string) => Promise<void>]>([
    ['moved', (root) => rename(root, `${root}-moved`)],
    ['removed', (root) => rm(root, { recursive: true })],
    ['emptied of its index', (root) => rm(join(root, 'index.db'))],
    ['emptied of the log of its index', (root) => rm(join(root, 'index.db-wal'))],
    ['replaced by another one', (root) => rename(root, `${root}-moved`).then(() => another(root))],
  ])('because it was %s accepts no write that nobody would find again', async (_name, takeAway) => {
    const root = join(path, 'storage');
    const backend = localBackend({ root });
    await backend.buckets!.create('bucket', {}, noContext);
    await backend.put(at, data('bytes'), { contentType: 'a/b' }, noContext);
    await takeAway(root);
    const gone = { code: 'storage_unavailable', retryable: false, message: expect.stringContaining('restart') as string };
    await expect(backend.put(at, data('lost'), { contentType: 'a/b' }, noContext)).rejects.toMatchObject(gone);
    await expect(backend.delete(at, noContext)).rejects.toMatchObject(gone);
    await expect(backend.check(noContext)).rejects.toMatchObject(gone);
    await backend.close();
  });

  it.each<[string, (root: string) => Promise<void>]>([
    ['moved', (root) => rename(root, `${root}-moved`)],
    ['removed', (root) => rm(root, { recursive: true })],
    ['replaced by another one', (root) => rename(root, `${root}-moved`).then(() => another(root))],
  ])('because it was %s has not lost single objects', async (_name, takeAway) => {
    const root = join(path, 'storage');
    const backend = localBackend({ root });
    await backend.buckets!.create('bucket', {}, noContext);
    await backend.put(at, data('bytes'), { contentType: 'a/b' }, noContext);
    await takeAway(root);
    const gone = { code: 'storage_unavailable', retryable: false, message: expect.stringContaining('restart') as string };
    await expect(backend.get(at, {}, noContext)).rejects.toMatchObject(gone);
    await backend.close();
  });

  it('is not recreated, so that it can be put back', async () => {
    const root = join(path, 'storage');
    const backend = localBackend({ root });
    await backend.buckets!.create('bucket', {}, noContext);
    const source = new PassThrough();
    const uploading = backend
      .put(at, { kind: 'stream', stream: source }, { contentType: 'a/b' }, noContext)
      .catch((error: unknown) => error);
    source.write(Buffer.alloc(4 << 20));
    await expect.poll(() => readdir(join(root, '.tmp')).catch(() => [])).toHaveLength(1);
    await rename(root, `${root}-moved`);
    source.end('more');
    expect(await uploading).toMatchObject({ code: 'storage_unavailable' });
    await expect(backend.put(at, data('lost'), { contentType: 'a/b' }, noContext)).rejects.toMatchObject({ code: 'storage_unavailable' });
    await expect(backend.buckets!.create('other', {}, noContext)).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(existsSync(root)).toBe(false);
    await rename(`${root}-moved`, root);
    await backend.put(at, data('bytes'), { contentType: 'a/b' }, noContext);
    await backend.close();
  });
});

async function another(root: string): Promise<void> {
  const backend = localBackend({ root });
  await backend.buckets!.create('bucket', {}, noContext);
  await backend.close();
}

describe('a directory that cannot be the storage', () => {
  const denied = 'access_denied: This process has no access to the storage directory; check its owner and mode.';
  const opening = async (root: string): Promise<unknown> => {
    const backend = localBackend({ root });
    try {
      return await backend.check(noContext);
    } finally {
      await backend.close();
    }
  };

  it('because it is a file is access_denied', async () => {
    await writeFile(join(path, 'file'), '');
    for (const root of [join(path, 'file'), join(path, 'file', 'below')])
      await expect(opening(root)).rejects.toMatchObject({
        code: 'access_denied',
        message: expect.stringContaining('a file where') as unknown,
      });
  });

  it('because its index is something else, or damaged, is an internal error that says so', async () => {
    await writeFile(join(path, 'index.db'), 'this is no database, and long enough to be seen to be none '.repeat(100));
    await expect(opening(path)).rejects.toMatchObject({ code: 'internal_error', message: 'The index is not a SQLite database.' });
  });

  it('because a newer version wrote it is left alone', async () => {
    await opening(path);
    const db = new DatabaseSync(join(path, 'index.db'));
    db.exec('PRAGMA user_version = 2');
    db.close();
    await expect(opening(path)).rejects.toMatchObject({
      code: 'storage_unavailable',
      message: expect.stringMatching(/newer version/) as string,
    });
    expect(existsSync(join(path, 'index.db-wal'))).toBe(false); // nobody holds it open
  });

  it('because this process may not enter it, or not write there, is access_denied', async () => {
    await chmod(path, 0o500);
    const child = startChild(new URL('./testing/opening.ts', import.meta.url), ['--unprivileged', path, join(path, 'below')]);
    expect(await child.ended).toBe(0);
    expect(child.lines).toEqual([denied, denied]);
    await chmod(path, 0o700);
  });

  it('because this process may only read it, or its index, is access_denied', async () => {
    const [readable, readableIndex, inUse] = [join(path, 'readable'), join(path, 'readable-index'), join(path, 'in-use')];
    for (const root of [readable, readableIndex, inUse]) {
      await another(root);
      await chmod(join(root, 'index.db'), 0o444);
      await chmod(root, root === readable ? 0o555 : 0o777);
    }
    const user = localBackend({ root: inUse });
    await user.check(noContext);
    for (const name of ['index.db', 'index.db-wal', 'index.db-shm']) await chmod(join(inUse, name), name === 'index.db' ? 0o444 : 0o666);
    await chmod(path, 0o755);
    const child = startChild(new URL('./testing/opening.ts', import.meta.url), ['--unprivileged', readable, readableIndex, inUse]);
    expect(await child.ended).toBe(0);
    expect(child.lines).toEqual([denied, denied, denied]);
    await user.close();
    await chmod(path, 0o700);
  });

  const mount = [
    'unshare',
    '--map-root-user',
    '--mount',
    'sh',
    '-c',
    'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"',
  ];

  it.skipIf(spawnSync(mount[0]!, [...mount.slice(1), tmpdir(), 'true']).status !== 0)(
    'because it is mounted read-only is access_denied',
    async () => {
      await another(path);
      const child = startChild(new URL('./testing/opening.ts', import.meta.url), [path], [...mount, path]);
      expect(await child.ended).toBe(0);
      expect(child.lines).toEqual([expect.stringMatching(/^access_denied: .* read-only file system/)]);
    },
  );
});
