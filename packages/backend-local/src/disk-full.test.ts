import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { expect, it } from 'vitest';

import { startChild } from './testing/child.ts';
import { scratch } from './testing/storage.ts';

const run = promisify(execFile);

// A mount namespace of its own: the small disk goes away with the process, however the process ends.
const namespace = ['unshare', '--map-root-user', '--mount'];

/** How to run a program with an 8 MiB disk at `path`, or, where mounting is not allowed, with files of at most 4 MiB. */
async function small(path: string): Promise<{ readonly through: readonly string[]; readonly message: string; readonly fills: boolean }> {
  const mount = 'mount -t tmpfs -o size=8m tmpfs "$0" && exec "$@"';
  const mounted = [...namespace, 'sh', '-c', mount, path];
  try {
    await run(mounted[0]!, [...mounted.slice(1), 'true']);
    return { through: mounted, message: 'The disk is full.', fills: true };
  } catch {
    return {
      through: ['bash', '-c', 'ulimit -f 4096 && exec "$0" "$@"'],
      message: 'The object is larger than the file system, or the limit on the size of files (ulimit -f), allows.',
      fills: false,
    };
  }
}

// Where mounting is not allowed, the test writes some thousands of objects.
it(
  'a full disk is a clear error, leaves no debris and no damage, and does not keep anybody from deleting',
  { timeout: 240_000 },
  async () => {
    const { path, remove } = await scratch();
    const { through, message, fills } = await small(path);
    const child = startChild(new URL('./testing/full-disk.ts', import.meta.url), [path], through);
    expect(await child.ended).toBe(0);
    const refused = { code: 'storage_unavailable', retryable: false, message };
    expect(JSON.parse(child.lines.at(-1)!)).toMatchObject({
      kept: 'done',
      stream: refused,
      streamDestroyed: true,
      overwrite: refused,
      leftovers: [],
      keptAfterwards: true,
      ...(fills && { full: refused }),
      listed: true,
      leftoversWhenFull: [],
      deleteWhenFull: 'done',
      ...(fills && { reserveAfterDelete: true }),
      putAfterDelete: 'done',
      readAfterDelete: true,
      deleteEachTime: true,
      deleteByOthers: true,
      ...(fills && { triedInVain: refused }),
      reserve: true,
      listedByFirst: 'done',
      reserveOfFirst: true,
      listedByNext: 'done',
      deleteByNext: 'done',
    });
    await remove();
  },
);
