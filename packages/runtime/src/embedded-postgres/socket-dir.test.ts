import { randomUUID } from 'node:crypto';
import { chmod, chown, mkdir, mkdtemp, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { socketDirIn } from './socket-dir.ts';

describe('the folder of the socket of a data directory with a long path', () => {
  const home = join('/srv', randomUUID(), 'x'.repeat(120));
  let dir = '';
  let parent = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'coffer-socket-'));
    parent = dirname(await socketDirIn(home, { prefix: [] }));
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    for (const path of [parent, dir]) await rm(path, { recursive: true, force: true });
  });

  it('is the same for processes with another temporary folder', async () => {
    vi.stubEnv('TMPDIR', dir);
    expect(await socketDirIn(home, { prefix: [] })).toBe(join(parent, 's'));
    expect((await stat(join(parent, 's'))).mode & 0o777).toBe(0o700);
  });

  const changes: readonly (readonly [string, () => Promise<void>])[] = [
    ['others may write in it', () => chmod(parent, 0o777)],
    ['it is a link', () => rm(parent, { recursive: true }).then(() => symlink(dir, parent))],
    ['it belongs to another user', () => chown(parent, 65_534, 65_534)],
  ];
  // Only root may give something away.
  it.each(changes.slice(0, process.getuid?.() === 0 ? 3 : 2))(
    'is refused where somebody else could put a socket of his own, since %s',
    async (_why, change) => {
      await mkdir(join(dir, 's'));
      await change();
      await expect(socketDirIn(home, { prefix: [] })).rejects.toThrow(/belongs to somebody else/);
    },
  );
});
