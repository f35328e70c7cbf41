import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { pathOf } from './documents.ts';

/** What a block did. */
export interface ShellResult {
  /** Everything it printed, both streams in order of arrival. */
  readonly output: string;
  readonly stdout: string;
  /** Responses to its requests with a status of 400 or more, and the requests. */
  readonly refused: readonly { readonly status: number; readonly request: string }[];
  /** The environment of `npm start`, if the block ran it. */
  readonly start?: Readonly<Record<string, string>>;
}

const blockMs = 40_000;

/** Runs `curl` unchanged, and records the status of the response. */
const curl = (): string => `#!/bin/sh
headers="$DOC_TESTS/headers"
: > "$headers"
${curlCommand()} -D "$headers" "$@"
result=$?
status=$(sed -n 's/^HTTP\\/[0-9.]* \\([0-9]*\\).*/\\1/p' "$headers" | tail -n 1)
printf '%s %s %s\\n' "$result" "\${status:-0}" "$*" >> "$DOC_TESTS/requests"
exit $result
`;
/** Records the environment of `npm start`, so that the server can be started with it; other npm commands are not run. */
const npm = `#!/bin/sh
[ "$1" = start ] && exec node -e 'fs.writeFileSync(process.env.DOC_TESTS + "/start", JSON.stringify(process.env))'
exit 0
`;

/** The built CLI, with the database of the document's server. */
const coffer = `#!/bin/sh
[ -f "$DOC_TESTS/database" ] && export DATABASE_URL="$(cat "$DOC_TESTS/database")"
exec node ${quoted(pathOf('apps/cli/bin/coffer.js'))} "$@"
`;

/** One shell for all blocks of a document, so that a block finds the variables and functions of earlier ones. */
export class Shell {
  readonly #process: ChildProcess;
  readonly #notes: string;
  #stdout = '';
  #output = '';

  private constructor(child: ChildProcess, notes: string) {
    this.#process = child;
    this.#notes = notes;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      this.#output += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#output += text));
    child.stdin?.on('error', () => {}); // the shell has ended: `run` reports it
  }

  static async open(cwd: string): Promise<Shell> {
    const notes = join(cwd, '.doc-tests');
    await mkdir(join(notes, 'bin'), { recursive: true });
    for (const [name, text] of Object.entries({ curl: curl(), npm, coffer })) {
      await writeFile(join(notes, 'bin', name), text);
      await chmod(join(notes, 'bin', name), 0o755);
    }
    const path = `${join(notes, 'bin')}:${join(process.execPath, '..')}:${process.env['PATH'] ?? ''}`;
    const env = { PATH: path, HOME: cwd, LANG: 'C.UTF-8', DOC_TESTS: notes };
    return new Shell(spawn('sh', { cwd, env }), notes);
  }

  /** Sets the database of `coffer` from now on. */
  async useDatabase(url: string): Promise<void> {
    await writeFile(join(this.#notes, 'database'), url);
  }

  /** @throws Error when a command fails, or a request gets no answer */
  async run(code: string): Promise<ShellResult> {
    const file = (name: string): string => join(this.#notes, name);
    await writeFile(file('block.sh'), `set -e\n${code}\nset +e\n`);
    await writeFile(file('requests'), '');
    await rm(file('start'), { force: true });
    this.#stdout = this.#output = '';
    const mark = `block ${Math.random()} is done`;
    this.#process.stdin?.write(`. "$DOC_TESTS/block.sh" </dev/null\necho '${mark}'\n`);
    await this.#until(mark);

    const requests = (await readFile(file('requests'), 'utf8'))
      .trim()
      .split('\n')
      .filter(Boolean)
      .map((line) => {
        const [result = '', status = '', ...request] = line.split(' ');
        return { result: Number(result), status: Number(status), request: `curl ${request.join(' ')}` };
      });
    const unanswered = requests.find(({ result }) => result !== 0);
    if (unanswered !== undefined) throw new Error(`Exit status ${unanswered.result} of ${unanswered.request}\n${this.#output}`);
    return {
      stdout: this.#stdout.replace(`${mark}\n`, ''),
      output: this.#output.replace(`${mark}\n`, ''),
      refused: requests.filter(({ status }) => status >= 400),
      ...(existsSync(file('start')) && { start: JSON.parse(await readFile(file('start'), 'utf8')) as Record<string, string> }),
    };
  }

  close(): void {
    this.#process.stdin?.end();
    this.#process.kill();
  }

  async #until(mark: string): Promise<void> {
    const deadline = performance.now() + blockMs;
    while (!this.#stdout.endsWith(`${mark}\n`)) {
      if (this.#process.exitCode !== null) throw new Error(`A command failed:\n${this.#output}`);
      if (performance.now() > deadline) throw new Error(`Not done after ${blockMs / 1000} s:\n${this.#output}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

/** This machine's curl; without one, or with DOC_TESTS_CURL=stand-in, one that needs only Node. */
function curlCommand(): string {
  const found = spawnSync('sh', ['-c', 'command -v curl'], { encoding: 'utf8' }).stdout.trim();
  if (found !== '' && process.env['DOC_TESTS_CURL'] !== 'stand-in') return quoted(found);
  return `node ${quoted(fileURLToPath(new URL('curl-stand-in.ts', import.meta.url)))}`;
}

/** One word of a shell, whatever a path consists of. */
function quoted(path: string): string {
  return `'${path.replaceAll("'", `'\\''`)}'`;
}
