import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, readlink } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Identifies the space in which pids mean what they mean to this process: all processes of one boot and one pid namespace get the same
 * string. A container has its own.
 * @throws when nobody can tell, for want of file descriptors
 * @see https://man7.org/linux/man-pages/man7/pid_namespaces.7.html
 */
export async function pidSpace(): Promise<string> {
  if (process.platform !== 'linux') return 'here';
  const [boot, namespace] = await Promise.all([
    readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(emptyUnlessExhausted),
    readlink('/proc/self/ns/pid').catch(emptyUnlessExhausted),
  ]);
  return createHash('sha256').update(`${boot.trim()} ${namespace}`).digest('hex').slice(0, 16);
}

/**
 * When a living process started, in the system's own format. Pids are reused, but pid and start identify one process for good. Undefined
 * when there is no such process, or only a zombie that its parent has not collected yet.
 * @throws when nobody can tell, for want of file descriptors
 */
export async function startOf(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(emptyUnlessExhausted);
    // The second field, in parentheses, may hold anything.
    const fields = stat === '' ? [] : stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === undefined || fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  }
  const [state, ...started] = (await ps(pid, 'stat=,lstart=')).split(/\s+/);
  return state === undefined || state === '' || state.startsWith('Z') ? undefined : started.join('').replaceAll(':', '');
}

/** Without a file descriptor left, a file only seems to be absent. */
export function throwIfExhausted(error: NodeJS.ErrnoException): void {
  if (error.code === 'EMFILE' || error.code === 'ENFILE') throw error;
}

function emptyUnlessExhausted(error: NodeJS.ErrnoException): string {
  throwIfExhausted(error);
  return '';
}

/** The command line of a living process; empty if there is none. */
export async function commandOf(pid: number): Promise<string> {
  if (process.platform !== 'linux') return ps(pid, 'command=');
  const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return line.replaceAll('\0', ' ').trim();
}

/** The working directory of a living process under its present name, even if it was moved; undefined if the system does not tell. */
export async function directoryOf(pid: number): Promise<string | undefined> {
  return readlink(`/proc/${pid}/cwd`).catch(() => undefined);
}

async function ps(pid: number, columns: string): Promise<string> {
  return run('ps', ['-o', columns, '-p', String(pid)]).then(
    ({ stdout }) => stdout.trim(),
    () => '',
  );
}
