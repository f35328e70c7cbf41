import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';

import { StartupError } from '../startup-error.ts';

const run = promisify(execFile);
const nobody = 65_534;

/** The user that PostgreSQL's programs run as. */
export interface Identity {
  /** Goes before the command and changes the user; empty when the process is started as `owner`. */
  readonly prefix: readonly string[];
  /** The owner of the processes and of the database's files; undefined when they are ours. */
  readonly owner?: Owner;
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * PostgreSQL refuses to run as root. Root therefore runs it as `nobody`, or as the current owner of the data. If that user cannot reach the
 * programs or the data because a folder above them is root's own (a checkout in root's home), it also gets the one capability to search
 * folders and read files: CAP_DAC_READ_SEARCH. Where that is not enough (programs installed under a umask of 077), it gets CAP_DAC_OVERRIDE.
 * @param paths paths that the user must be able to execute or enter
 * @throws StartupError when there is no way
 */
export async function identityFor(data: string, paths: readonly string[]): Promise<Identity> {
  const uid = process.getuid?.();
  const found = await stat(data).catch(() => undefined);
  if (uid !== 0) {
    if (found !== undefined && found.uid !== uid) {
      throw new StartupError(
        `${data} belongs to another user (uid ${found.uid}). Start Coffer as the user who did so first (root, most likely), or set COFFER_DATA_DIR or DATABASE_URL.`,
      );
    }
    return { prefix: [] };
  }
  const owner = { uid: found?.uid ?? nobody, gid: found?.gid ?? nobody };
  if (owner.uid === 0) {
    throw new StartupError(
      `${data} belongs to root, and PostgreSQL refuses to run as root. Give it to another user: chown -R ${nobody}:${nobody} ${data}`,
    );
  }
  if (await canReach(owner, paths)) return { prefix: [], owner };
  const prefix = await searchPrefix(owner, paths);
  if (prefix !== undefined) return { prefix, owner };
  throw new StartupError(
    `The embedded PostgreSQL runs as an unprivileged user (uid ${owner.uid}), who cannot reach ${paths.join(' or ')}: a folder above is closed to others. Open it for them (chmod o+x), move COFFER_DATA_DIR and the installation, or set DATABASE_URL.`,
  );
}

const shell = '/bin/sh';
const tryAll = ['-c', 'for path; do test -x "$path" || exit 1; done', 'sh'];

async function canReach(owner: Owner, paths: readonly string[]): Promise<boolean> {
  try {
    await run(shell, [...tryAll, ...paths], { ...owner, cwd: '/' });
    return true;
  } catch (cause) {
    const { code, message } = cause as Error & { readonly code?: unknown };
    if (typeof code !== 'string' || code === 'EACCES') return false; // it says no, or a closed folder is above the shell itself
    if (code === 'EPERM' || code === 'EINVAL') {
      throw new StartupError(
        `The embedded PostgreSQL refuses to run as root, and this process may not run it as another user (it lacks CAP_SETUID and CAP_SETGID, or its user namespace has no uid ${owner.uid}). Start Coffer as an unprivileged user, or set DATABASE_URL.`,
        { cause },
      );
    }
    throw new StartupError(
      `The embedded PostgreSQL runs as an unprivileged user (uid ${owner.uid}), as whom nothing can be started now (${message}): check the limits of processes and open files, or set DATABASE_URL.`,
      { cause },
    );
  }
}

/** A `setpriv` (util-linux) command that grants a capability with which the user reaches the paths; undefined where there is none. */
async function searchPrefix(owner: Owner, paths: readonly string[]): Promise<readonly string[] | undefined> {
  for (const capability of capabilitiesOf(await readFile('/proc/self/status', 'utf8').catch(() => ''))) {
    const prefix = prefixFor(owner, capability);
    const [file, ...args] = [...prefix, shell, ...tryAll, ...paths];
    const isEnough = await run(file, args, { cwd: '/' }).then(
      () => true,
      () => false,
    );
    if (isEnough) return prefix;
  }
  return undefined;
}

type Capability = 'dac_read_search' | 'dac_override';

function prefixFor({ uid, gid }: Owner, capability: Capability): readonly [string, ...string[]] {
  return [
    'setpriv',
    `--reuid=${uid}`,
    `--regid=${gid}`,
    '--clear-groups',
    '--no-new-privs',
    ...['inh-caps', 'ambient-caps', 'bounding-set'].map((set) => `--${set}=-all,+${capability}`),
    // Without it, access(2), with which PostgreSQL checks its own programs, ignores the capability for anybody but root.
    '--securebits=+no_setuid_fixup',
  ];
}

/**
 * The helpful capabilities that this process has: to search and read, and the one that also writes and executes, which Docker's default set
 * has alone. The weaker one is first.
 * @see https://man7.org/linux/man-pages/man7/capabilities.7.html
 */
export function capabilitiesOf(status: string): readonly Capability[] {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const helpful = [
    ['dac_read_search', 4n],
    ['dac_override', 2n],
  ] as const;
  return helpful.flatMap(([name, bit]) => ((effective & bit) === 0n ? [] : [name]));
}
