import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The root of the checkout. */
export const root = fileURLToPath(new URL('../../../', import.meta.url));

interface Ran {
  readonly ok: boolean;
  readonly stdout: string;
  readonly all: string;
}

/** Runs a tool of the checkout to its end. */
export function run(command: string, args: readonly string[], { cwd = root }: { cwd?: string } = {}): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd, maxBuffer: 64 * 2 ** 20 }, (error, stdout, stderr) => {
      const all = `${stdout}${stderr}` || (error?.message ?? '');
      resolve({ ok: error === null, stdout, all });
    });
  });
}

/** The output of a tool that failed; empty if it succeeded. */
export async function failureOf(command: string, args: readonly string[], options: { cwd?: string } = {}): Promise<string> {
  const { ok, all } = await run(command, args, options);
  return ok ? '' : all.trim() || `${command} failed and said nothing`;
}

/** Files that git tracks or would track, relative to the checkout's root. */
export async function repositoryFiles(): Promise<string[]> {
  const { ok, stdout, all } = await run('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z']);
  if (!ok) throw new Error(all);
  return stdout.split('\0').filter(Boolean);
}
