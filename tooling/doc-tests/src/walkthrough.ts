import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { freePort, testDatabase } from '@coffer/fixtures';
import type { TestDatabase } from '@coffer/fixtures';

import { ApiServer } from './api-server.ts';
import type { Block } from './documents.ts';
import { isRecordOf, stepsOf } from './session.ts';
import { Shell } from './shell.ts';
import type { ShellResult } from './shell.ts';
import { fileOf } from './snippets.ts';

/** Variables of Coffer that a document may set for its `npm start`. */
const settings = /^(?:STORAGE_|AUTH_|METRICS_|COFFER_DATA_DIR$|PUBLIC_URL$|LOG_LEVEL$)/;
const snippetMs = 60_000;

/** Follows one document from top to bottom, in a folder of its own, and does everything it says. */
export class Walkthrough {
  readonly #folder: string;
  #shell: Shell | undefined;
  #database: TestDatabase | undefined;
  #server: ApiServer | undefined;
  #ports: { readonly api: number; readonly metrics: number } | undefined;
  #exports: Readonly<Record<string, string>> = {};

  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Runs a block of shell commands. The server is started before the first block that sends it a request; `npm start` restarts it,
   * with the variables of the call and the existing data. A comment `# prints text` is a promise.
   * @throws Error when a command fails, a request is refused unannounced, or a promise is not kept
   */
  async sh({ code, status }: Pick<Block, 'code' | 'status'>): Promise<ShellResult> {
    this.#shell ??= await Shell.open(this.#folder);
    if (this.#server !== undefined || /\bcoffer storage tenants\b/.test(code)) await this.#shell.useDatabase(await this.#databaseUrl());
    if (needsServer(code) && this.#server === undefined) await this.#start({});
    const exports = Object.entries(this.#exports).map(([name, value]) => `export ${name}='${value}'\n`);
    const result = await this.#shell.run(exports.join('') + (await this.#here(code)));
    const expected = status === undefined ? [] : [status];
    const actual = result.refused.map((answer) => answer.status);
    if (actual.join() !== expected.join()) {
      const refusedRequests = result.refused.map((answer) => `${answer.status} for ${answer.request}`).join('\n');
      throw new Error(`Expected ${expected.join() || 'no'} HTTP errors, got:\n${refusedRequests}\n${result.output}`);
    }
    for (const [, text = ''] of code.matchAll(/# prints (.+)$/gm)) {
      if (!result.stdout.includes(text)) throw new Error(`Expected it to print "${text}", got:\n${result.output}`);
    }
    if (result.start !== undefined) {
      await this.#stop();
      await this.#start(settingsIn(result.start));
    }
    return result;
  }

  /**
   * Runs the command after each `$ ` of a recorded session.
   * @throws Error when the output differs; `…` stands for any text within a line, and on a line of its own for any lines
   */
  async session({ code }: Block): Promise<void> {
    for (const { command, printed } of stepsOf(code)) {
      const { stdout } = await this.sh({ code: `{ ${command}\n} 2>&1` });
      if (!isRecordOf(printed, stdout)) throw new Error(`$ ${command}\nshould print\n${printed}\nand prints\n${stdout}`);
    }
  }

  /** Runs a module in the folder of the document. @returns what it prints */
  async ts(block: Block): Promise<string> {
    const { code } = block;
    if (needsServer(code) && this.#server === undefined) await this.#start({});
    const file = fileOf(block);
    await mkdir(this.#folder, { recursive: true });
    await writeFile(join(this.#folder, file), await this.#here(code));
    const env = {
      PATH: process.env['PATH'] ?? '',
      COFFER_DATA_DIR: join(this.#folder, '.data'),
      ...this.#exports,
      ...(code.includes('DATABASE_URL') && { DATABASE_URL: await this.#databaseUrl() }),
    };
    const args = ['--conditions=@coffer/source', '--disable-warning=ExperimentalWarning', file];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: this.#folder, env, timeout: snippetMs });
    return stdout;
  }

  async close(): Promise<void> {
    this.#shell?.close();
    await this.#stop();
    await this.#database?.drop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Replaces the addresses in the document with those of this run. */
  async #here(code: string): Promise<string> {
    if (!/http:\/\/127\.0\.0\.1:(?:8080|9090)/.test(code)) return code;
    this.#ports ??= { api: await freePort(), metrics: await freePort() };
    return code
      .replaceAll('http://127.0.0.1:8080', `http://127.0.0.1:${this.#ports.api}`)
      .replaceAll('http://127.0.0.1:9090', `http://127.0.0.1:${this.#ports.metrics}`);
  }

  async #start(refusedRequests: Readonly<Record<string, string>>): Promise<void> {
    this.#ports ??= { api: await freePort(), metrics: await freePort() };
    this.#server = await ApiServer.start(this.#folder, {
      ...refusedRequests,
      PORT: String(this.#ports.api),
      DATABASE_URL: await this.#databaseUrl(),
      ...(refusedRequests['METRICS_PORT'] !== undefined && { METRICS_PORT: String(this.#ports.metrics) }),
    });
    this.#exports = { ...this.#exports, ...this.#server.exports };
  }

  async #stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    const code = await server?.stop();
    if (server !== undefined && code !== 0) throw new Error(`The server stopped with status ${code}.`);
  }

  async #databaseUrl(): Promise<string> {
    this.#database ??= await testDatabase();
    return this.#database.url;
  }
}

/** The document's variables that can be used here: an absolute path is one of the reader's machine. */
function settingsIn(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(([name, value]) => settings.test(name) && !value.startsWith('/')));
}

/** Whether code uses the server that `npm start` in the document's first lines would have left running. */
function needsServer(code: string): boolean {
  return /127\.0\.0\.1:8080|\$API|COFFER_(?:ADMIN_)?TOKEN/.test(code) && !/\bnpm start\b/.test(code);
}
