import type * as files from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
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
