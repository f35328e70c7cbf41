import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const packageRoot = fileURLToPath(new URL('../..', import.meta.url));
// Inside the package, where the bundle finds what is not bundled.
const outdir = join(packageRoot, 'node_modules/.process-test');

/** Builds the server outside `dist`, which others may be using. */
export async function buildServer(): Promise<void> {
  await promisify(execFile)(process.execPath, ['build.mjs', outdir], { cwd: packageRoot });
}

/** A data directory. When run by root, PostgreSQL runs as another user, who must be able to pass through the parent. */
export async function dataDirectory(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const parent = await mkdtemp(join(tmpdir(), 'coffer-process-'));
  await chmod(parent, 0o711);
  return { path: join(parent, 'data'), remove: () => rm(parent, { recursive: true, force: true }) };
}

/** The built server in a process of its own. */
export class ServerProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<number | NodeJS.Signals>;
  stdout = '';
  stderr = '';

  constructor(env: Readonly<Record<string, string>>) {
    this.child = spawn(process.execPath, [join(outdir, 'main.js'), '--welcome'], {
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.exited = once(this.child, 'close').then(([code, signal]) => (code as number | null) ?? (signal as NodeJS.Signals));
  }

  /** Waits until the server listens, for at most 60 seconds. @returns its URL */
  async listening(): Promise<string> {
    for (let waited = 0; waited < 60_000; waited += 20) {
      const line = this.stdout.split('\n').find((each) => each.includes('"msg":"listening"'));
      if (line !== undefined) return (JSON.parse(line) as { url: string }).url;
      if (this.child.exitCode !== null || this.child.signalCode !== null) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`The server did not start: ${this.stdout}${this.stderr}`);
  }

  /** The value that the banner exports under this name. */
  banner(name: string): string {
    return new RegExp(`export ${name}=(\\S+)`).exec(this.stdout)?.[1] ?? '';
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | NodeJS.Signals> {
    this.child.kill(signal);
    return this.exited;
  }
}
