import { execFile } from 'node:child_process';
import { chown, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { Cli } from './testing/cli.ts';
import type { Ended, Env } from './testing/cli.ts';

describe('code that V8 has compiled', () => {
  let cli: Cli;
  let home: string;
  beforeAll(async () => (cli = await Cli.build()));
  beforeEach(async () => (home = await mkdtemp(join(tmpdir(), 'coffer-home-'))));
  afterEach(() => rm(home, { recursive: true, force: true }));

  const compiled = (): string => join(home, process.platform === 'darwin' ? 'Library/Caches' : '.cache', 'coffer/compiled');
  const run = (args: readonly string[], env: Env = {}): Promise<Ended> =>
    cli.run(args, { cwd: home, env: { HOME: home, STORAGE_BACKEND: 'local', STORAGE_LOCAL_PATH: join(home, 'data'), ...env } });
  const list = (env?: Env): Promise<Ended> => run(['storage', 'list', '--json'], env);
  /** The only cache file, that of `list`. */
  const file = async (): Promise<string> => {
    const [build = ''] = await readdir(compiled());
    expect(await readdir(join(compiled(), build))).toEqual(['storage-list.bin']);
    return join(compiled(), build, 'storage-list.bin');
  };
  const listed = { code: 0, stderr: '', json: { objects: [], truncated: false } };

  it('is kept by the first run of a command, and used by the next ones', async () => {
    expect(await list()).toMatchObject(listed);
    const kept = await stat(await file());
    expect(kept.size).toBeGreaterThan(100_000);
    expect(kept.mode & 0o077).toBe(0);
    expect(await list()).toMatchObject(listed);
    expect((await stat(await file())).ino).toBe(kept.ino);
    expect((await run(['storage', 'info', '--json'])).code).toBe(0);
    const [build = ''] = await readdir(compiled());
    expect(await readdir(join(compiled(), build))).toEqual(['storage-info.bin', 'storage-list.bin']);
  });

  it('of one command on several storage backends is kept in one file', async () => {
    await list();
    const alone = await stat(await file());
    // Fails at once: the code of a command that runs longer than two seconds is kept.
    const s3 = { STORAGE_BACKEND: 's3', STORAGE_BUCKET: 'b', STORAGE_S3_ENDPOINT: 'http://127.0.0.1:9', STORAGE_MAX_RETRIES: '0' };
    expect(await list(s3)).toMatchObject({ code: expect.any(Number) as number });
    expect((await stat(await file())).ino).toBe(alone.ino); // not replaced, since the command failed
    await rm(join(home, 'data'), { recursive: true, force: true });
    expect(await list()).toMatchObject(listed);
    expect((await stat(await file())).size).toBe(alone.size);
  });

  it.each<[string, (path: string) => Promise<void>]>([
    ['is cut short', (path) => truncate(path, 1000)],
    ['is empty', (path) => truncate(path, 0)],
    ['is of zeros', async (path) => writeFile(path, Buffer.alloc((await stat(path)).size))],
    ['is some text', (path) => writeFile(path, 'x'.repeat(200_000))],
    [
      'is of zeros behind its index',
      async (path) => {
        const bytes = await readFile(path);
        await writeFile(path, bytes.fill(0, 4 + bytes.readUInt32LE(0)));
      },
    ],
    [
      'has lost a bit',
      async (path) => {
        const bytes = await readFile(path);
        bytes[bytes.length / 4] = bytes[bytes.length / 4]! ^ 16;
        await writeFile(path, bytes);
      },
    ],
  ])('that %s is made anew', async (_how, spoil) => {
    await list();
    await spoil(await file());
    expect(await list()).toMatchObject(listed);
    const mended = await stat(await file());
    expect(mended.size).toBeGreaterThan(100_000);
    expect(await list()).toMatchObject(listed);
    expect((await stat(await file())).ino).toBe(mended.ino);
  });

  it('of builds that nobody uses any more is removed', async () => {
    const [old, recent] = [join(compiled(), 'old'), join(compiled(), 'recent')];
    for (const folder of [old, recent]) await mkdir(folder, { recursive: true });
    await utimes(old, new Date(0), new Date(0));
    await list();
    const left = await readdir(compiled());
    expect(left).toContain('recent');
    expect(left).not.toContain('old');
    expect(left).toHaveLength(2);
  });

  it('is written without leaving what a killed process left of it', async () => {
    await list();
    const path = await file();
    await rm(path);
    await writeFile(`${path}.12345`, 'half of it');
    expect(await list()).toMatchObject(listed);
    expect(await file()).toBe(path); // and no other
  });

  it('is not kept when the home folder cannot hold it, or caching is switched off', async () => {
    for (const place of ['/proc', '/dev/null', join(home, 'missing'), '', '.', 'relative'])
      expect(await list({ HOME: place })).toMatchObject(listed);
    expect(await list({ NODE_DISABLE_COMPILE_CACHE: '1' })).toMatchObject(listed);
    expect((await readdir(home)).toSorted()).toEqual(['.coffer', 'data']);
  });

  it.runIf(process.getuid?.() === 0)("is not kept in somebody else's home, nor taken from there", async () => {
    await list();
    const kept = await stat(await file());
    await chown(home, 12_345, 12_345);
    expect(await run(['storage', 'info', '--json'])).toMatchObject({ code: 0 });
    expect(await list()).toMatchObject(listed);
    expect((await stat(await file())).atimeMs).toBe(kept.atimeMs);
  });

  it.runIf(process.platform === 'linux')('replaces a pipe in its place and does not read it', async () => {
    await list();
    const path = await file();
    await rm(path);
    await promisify(execFile)('mkfifo', [path]);
    expect(await list()).toMatchObject(listed);
    expect((await stat(await file())).isFile()).toBe(true);
  });
});
