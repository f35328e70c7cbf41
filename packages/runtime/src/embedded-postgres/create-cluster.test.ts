import type * as files from 'node:fs';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it, vi } from 'vitest';

import { findBinaries } from './binaries.ts';
import { createCluster } from './create-cluster.ts';
import { identityFor } from './identity.ts';

const synced = vi.hoisted(() => [] as number[]);
vi.mock('node:fs', async (original) => {
  const real = await original<typeof files>();
  const fsync: (...call: Parameters<typeof real.fsync>) => void = (fd, done) => {
    synced.push(real.fstatSync(fd).ino);
    if (real.fstatSync(fd).isDirectory()) done(Object.assign(new Error('EINVAL'), { code: 'EINVAL', syscall: 'fsync' }));
    else real.fsync(fd, done);
  };
  return { ...real, fsync };
});

it('succeeds where directories take no sync, which PostgreSQL allows as well, and removes what a killed process left', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'coffer-cluster-'));
  await chmod(dir, 0o755);
  const binaries = findBinaries();
  const data = join(dir, 'data');
  await mkdir(`${data}.new-0123abcd/base`, { recursive: true });
  try {
    await createCluster(data, binaries, await identityFor(data, [binaries.postgres, dir]));
    expect(await readdir(dir)).toEqual(['data']);
    for (const path of [data, dir]) expect(synced).toContain((await stat(path)).ino); // else a power loss may take the password's file
  } finally {
    await rm(dir, { recursive: true });
  }
});

it('writes through no link that somebody else with the rights of its user has put there', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'coffer-cluster-'));
  await chmod(dir, 0o755);
  const binaries = findBinaries();
  const data = join(dir, 'data');
  const others = join(dir, 'others');
  await writeFile(others, 'untouched');
  const { uid } = await stat(others);
  try {
    const creating = createCluster(data, binaries, await identityFor(data, [binaries.postgres, dir]));
    creating.catch(() => {}); // awaited below
    const made = async (): Promise<string> => join(dir, (await readdir(dir)).find((name) => name.startsWith('data.new-')) ?? 'none');
    await expect.poll(async () => existsSync(join(await made(), 'pg_ident.conf')), { interval: 2 }).toBe(true);
    const draft = await made();
    await rm(join(draft, 'pg_hba.conf'));
    for (const name of ['pg_hba.conf', 'coffer.password']) await symlink(others, join(draft, name));
    await creating;
    expect([await readFile(others, 'utf8'), (await stat(others)).uid]).toEqual(['untouched', uid]);
  } finally {
    await rm(dir, { recursive: true });
  }
});
