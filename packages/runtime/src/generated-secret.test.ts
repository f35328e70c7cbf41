import { execFile } from 'node:child_process';
import type * as files from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { chmod, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { generatedSecret } from './generated-secret.ts';
import { StartupError } from './startup-error.ts';

const synced = vi.hoisted(() => [] as number[]);
vi.mock('node:fs', async (original) => {
  const real = await original<typeof files>();
  const fsync: (...call: Parameters<typeof real.fsync>) => void = (fd, done) => {
    synced.push(real.fstatSync(fd).ino);
    real.fsync(fd, done);
  };
  return { ...real, fsync };
});

describe('generatedSecret', () => {
  let dir = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'coffer-secret-'));
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    synced.length = 0;
    await rm(dir, { recursive: true, force: true });
  });

  it('survives a power loss once it is used', async () => {
    await generatedSecret(dir);
    const paths = await Promise.all([join(dir, 'secret'), dir].map((path) => stat(path)));
    expect(synced).toEqual(paths.map(({ ino }) => ino));
  });

  it('makes one of 32 random bytes, for the owner alone, and keeps it', async () => {
    const secret = await generatedSecret(join(dir, 'data'));
    expect(Buffer.from(secret.toString(), 'base64url')).toHaveLength(32);
    expect((await stat(join(dir, 'data/secret'))).mode & 0o777).toBe(0o600);
    expect(await generatedSecret(join(dir, 'data'))).toEqual(secret);
    expect(await generatedSecret(join(dir, 'other'))).not.toEqual(secret);
  });

  it("makes one with handles that cannot sync, as under Yarn's Plug'n'Play", async () => {
    const any = await open('/dev/null');
    await any.close();
    vi.spyOn(Object.getPrototypeOf(any) as FileHandle, 'sync').mockRejectedValue(new Error('Method not implemented.'));
    expect(await generatedSecret(dir)).toHaveLength(43);
  });

  it('gives processes and callers that start together the same one', async () => {
    const script = `import { generatedSecret } from ${JSON.stringify(fileURLToPath(new URL('./generated-secret.ts', import.meta.url)))};
      console.log((await Promise.all(Array.from({ length: 4 }, () => generatedSecret(${JSON.stringify(dir)})))).join(' '));`;
    const processes = Array.from({ length: 4 }, () =>
      promisify(execFile)(process.execPath, ['--conditions=@coffer/source', '--input-type=module', '-e', script]),
    );
    const seen = (await Promise.all(processes)).flatMap(({ stdout }) => stdout.trim().split(' '));
    expect(seen).toHaveLength(16);
    expect(new Set(seen).size).toBe(1);
    expect(await readdir(dir)).toEqual(['secret']);
    expect((await readFile(join(dir, 'secret'), 'utf8')).trim()).toBe(seen[0]);
  });

  it('refuses a damaged file instead of replacing it', async () => {
    await writeFile(join(dir, 'secret'), 'abc');
    await expect(generatedSecret(dir)).rejects.toThrow(StartupError);
    await expect(generatedSecret(dir)).rejects.toThrow(/damaged/);
    expect(await readFile(join(dir, 'secret'), 'utf8')).toBe('abc');
  });

  it('waits for a process that is still writing it', async () => {
    await writeFile(join(dir, 'secret'), '');
    const secret = generatedSecret(dir);
    await delay(20);
    await writeFile(join(dir, 'secret'), 's'.repeat(43));
    expect((await secret).toString()).toBe('s'.repeat(43));
  });

  it('closes a file that others could read', async () => {
    const secret = await generatedSecret(dir);
    await chmod(join(dir, 'secret'), 0o644);
    expect(await generatedSecret(dir)).toEqual(secret);
    expect((await stat(join(dir, 'secret'))).mode & 0o777).toBe(0o600);
  });

  it('says which directory cannot be made', async () => {
    await writeFile(join(dir, 'file'), '');
    await expect(generatedSecret(join(dir, 'file/data'))).rejects.toThrow(/ENOTDIR/);
  });
});
