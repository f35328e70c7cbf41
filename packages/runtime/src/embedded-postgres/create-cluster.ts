import { randomBytes } from 'node:crypto';
import { lchown, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { syncDirectory } from '@coffer/storage-core';

import { StartupError } from '../startup-error.ts';
import { writeDurably } from '../write-durably.ts';
import type { Binaries } from './binaries.ts';
import type { Identity } from './identity.ts';
import { runAs } from './spawn-as.ts';

export const role = 'coffer';
export const passwordFile = 'coffer.password';

// The superuser cannot log in at all; an operator can use `postgres --single`.
const hbaRules = `# Written by Coffer.\nlocal ${role} ${role} scram-sha-256\n`;

/**
 * Creates the database cluster `data`, with the database `coffer` and a role of that name, which may do everything in it and nothing
 * outside; the role's password is in the file `coffer.password`. The cluster appears whole or, if this process is killed, not at all.
 * @throws StartupError; the reason of `signal`, if the programs fail once it is aborted: Ctrl-C in the terminal ends them as well
 */
export async function createCluster(data: string, binaries: Binaries, identity: Identity, signal?: AbortSignal): Promise<void> {
  await removeDrafts(data);
  const draft = `${data}.new-${randomBytes(4).toString('hex')}`;
  try {
    await mkdir(draft, { mode: 0o700 });
    await chownTo(identity, draft);
    await runAs(identity, [
      binaries.initdb,
      `--pgdata=${draft}`,
      '--username=postgres',
      '--auth=reject',
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--no-instructions',
    ]);
    const password = randomBytes(32).toString('base64url');
    await write(identity, join(draft, 'pg_hba.conf'), hbaRules);
    await write(identity, join(draft, passwordFile), password);
    await syncDirectory(draft); // initdb did so before that file was there
    // Renaming the existing database takes a fraction of the time of creating another.
    const statements = [
      `create role ${role} login password '${password}'`,
      `alter database postgres rename to ${role}`,
      `alter database ${role} owner to ${role}`,
    ];
    await runAs(
      identity,
      [binaries.postgres, '--single', '-D', draft, '-c', 'exit_on_error=on', 'template1'],
      `${statements.join('\n')}\n`,
    );
    await rename(draft, data);
    await syncDirectory(dirname(data));
  } catch (cause) {
    await rm(draft, { recursive: true, force: true, maxRetries: 3 }).catch(() => {});
    signal?.throwIfAborted();
    if (cause instanceof StartupError) throw cause;
    throw new StartupError(
      `The embedded PostgreSQL could not create its database in ${data}; to use another server, set DATABASE_URL. ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

/** Removes what killed processes left. A draft whose initdb is still writing stays until the next time. */
async function removeDrafts(data: string): Promise<void> {
  const parent = dirname(data);
  const drafts = (await readdir(parent)).filter((name) => name.startsWith('data.new-'));
  await Promise.all(drafts.map((name) => rm(join(parent, name), { recursive: true, force: true, maxRetries: 3 }).catch(() => {})));
}

async function chownTo({ owner }: Identity, path: string): Promise<void> {
  if (owner !== undefined) await lchown(path, owner.uid, owner.gid);
}

/** Any process of the user whose folder it is in could have put a link there, through which root would write, and give away, another file. */
async function write(identity: Identity, path: string, text: string): Promise<void> {
  await rm(path, { force: true });
  await writeDurably(path, text);
  await chownTo(identity, path);
}
