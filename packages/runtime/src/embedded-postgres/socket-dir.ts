import { createHash } from 'node:crypto';
import { chown, lstat, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ignoreExisting } from '../ignore-existing.ts';
import { StartupError } from '../startup-error.ts';
import type { Identity } from './identity.ts';

const maxPathBytes = process.platform === 'darwin' ? 103 : 107;
export const socketName = '.s.PGSQL.5432';

/**
 * The folder of the server's socket: in `home`, or under the system's temporary folder if the socket's path would be too long for an
 * address. Only the server's user and root can enter it.
 * @throws StartupError when somebody else created the temporary one before us, or even its path is too long
 */
export async function socketDirIn(home: string, identity: Identity): Promise<string> {
  const preferred = join(home, 'socket');
  if (fits(preferred)) {
    await makeFor(identity, preferred);
    return preferred;
  }
  // Not simply the temporary folder: processes with another TMPDIR must arrive at the same path.
  const uid = process.getuid?.() ?? 0;
  const name = `coffer-${uid}-${createHash('sha256').update(home).digest('hex').slice(0, 16)}`;
  const parent = await makeFirst(['/tmp', tmpdir()].map((dir) => join(dir, name)).filter((dir) => fits(join(dir, 's'))));
  if (parent === undefined)
    throw new StartupError(`The paths of ${home} and ${tmpdir()} are too long for a socket; set COFFER_DATA_DIR to a shorter one.`);
  const found = await lstat(parent);
  if (!found.isDirectory() || found.uid !== uid || (found.mode & 0o022) !== 0) {
    throw new StartupError(
      `${parent} belongs to somebody else, so PostgreSQL's socket would not be safe there; remove it, or set COFFER_DATA_DIR to a shorter path.`,
    );
  }
  await makeFor(identity, join(parent, 's'));
  return join(parent, 's');
}

/** The first of these that exists or can be created. Two levels: the outer one is ours, so nobody else put the inner one there. */
async function makeFirst(dirs: readonly string[]): Promise<string | undefined> {
  for (const dir of dirs) {
    const usable = await mkdir(dir, { mode: 0o711 }).then(
      () => true,
      (error: NodeJS.ErrnoException) => error.code === 'EEXIST',
    );
    if (usable) return dir;
  }
  return undefined;
}

function fits(dir: string): boolean {
  return Buffer.byteLength(join(dir, socketName)) <= maxPathBytes;
}

async function makeFor({ owner }: Identity, dir: string): Promise<void> {
  await mkdir(dir, { mode: 0o700 }).catch(ignoreExisting);
  if (owner !== undefined) await chown(dir, owner.uid, owner.gid);
}
