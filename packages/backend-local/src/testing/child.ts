import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface Child {
  readonly process: ChildProcess;
  /** Lines written to stdout so far. */
  readonly lines: readonly string[];
  /** Resolves with the first line that starts with `text`; rejects if the process ends without one. */
  line(text: string): Promise<string>;
  /** Resolves with the exit status, or the signal that ended the process, once all its lines have arrived. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

/** Starts a program in its own process. `through` is a command that in turn starts the program, for example with limits or mounts. */
export function startChild(program: URL, args: readonly string[], through: readonly string[] = []): Child {
  const [command = '', ...rest] = [
    ...through,
    process.execPath,
    '--conditions=@coffer/source',
    '--no-warnings',
    fileURLToPath(program),
    ...args,
  ];
  const child = spawn(command, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines: string[] = [];
  const waiting: { readonly text: string; readonly found: (line: string) => void }[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => {
    lines.push(line);
    for (const { text, found } of waiting) if (line.startsWith(text)) found(line);
  });
  return {
    process: child,
    lines,
    line: (text) =>
      new Promise((resolve, reject) => {
        const already = lines.find((line) => line.startsWith(text));
        if (already !== undefined) resolve(already);
        waiting.push({ text, found: resolve });
        child.once('close', () =>
          reject(new Error(`${program.pathname} ended without "${text}"; it said: ${lines.slice(-5).join(' | ')}`)),
        );
      }),
    ended: new Promise((resolve) => child.once('close', (status, signal) => resolve(signal ?? status ?? -1))),
  };
}
