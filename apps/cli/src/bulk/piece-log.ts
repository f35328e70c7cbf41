import { createHash } from 'node:crypto';
import { constants, readFileSync } from 'node:fs';
import { lstat, open, readFile, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';

import { isOwn, partPath } from './part-file.ts';

/** What a half-finished download belongs to. For anything else it is worthless. */
interface PieceLogHead {
  readonly bucket: string;
  readonly key: string;
  readonly etag: string;
  readonly size: number;
  readonly pieceSize: number;
}

/**
 * Records, beside a part file, which of its pieces have arrived. Every process that wants it appends a line with its pid and JSON
 * about the object; it belongs to the first of them that still runs. For each piece, the owner appends its pid, the number of the
 * piece and its CRC-32, since a power loss may keep the line but not the bytes. Lines are only ever appended, so that all see them in
 * one order. A line that a killed process left unfinished does not count.
 */
export class PieceLog {
  readonly partPath: string;
  /** The CRC-32 of each piece that has arrived, by its number. */
  readonly done: ReadonlyMap<number, number>;
  readonly #path: string;
  readonly #file: FileHandle;
  #isOpen = true;

  private constructor(options: {
    readonly partPath: string;
    readonly path: string;
    readonly file: FileHandle;
    readonly done: ReadonlyMap<number, number>;
  }) {
    this.partPath = options.partPath;
    this.done = options.done;
    this.#path = options.path;
    this.#file = options.file;
  }

  /** @returns undefined while another process downloads to the same target, and where another user owns what was left */
  static async open(target: string, head: PieceLogHead): Promise<PieceLog | undefined> {
    const part = partPath(target, createHash('sha256').update(basename(target)).digest('hex').slice(0, 24));
    const path = `${part}.log`;
    const opened = await openLog(path);
    if (opened === undefined) return undefined;
    const { file, isNew } = opened;
    try {
      const header = JSON.stringify(head);
      const leftover = await lstat(part).catch(() => undefined);
      const isSafe = (isNew || isOwn(await file.stat())) && (leftover === undefined || isOwn(leftover));
      if (isSafe && (await claim(path, file, header))) {
        const found = parseLog(await textOf(path), header).done;
        const done = leftover?.size === head.size ? found : new Map<number, number>();
        if (done.size === 0) await rm(part, { force: true });
        return new PieceLog({ partPath: part, path, file, done });
      }
      await file.close();
      if (isNew && !isSafe) await rm(path, { force: true });
      return undefined;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async add(piece: number, crc: number): Promise<void> {
    await this.#file.appendFile(`${process.pid} ${piece} ${crc}\n`);
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await this.#file.close();
  }

  async remove(): Promise<void> {
    await this.close();
    await rm(this.#path, { force: true });
  }
}

/** @returns undefined where another user owns the log and denies access to it */
async function openLog(path: string): Promise<{ readonly file: FileHandle; readonly isNew: boolean } | undefined> {
  const flags = constants.O_RDWR | constants.O_APPEND | (constants.O_NOFOLLOW ?? 0);
  for (;;) {
    try {
      return { file: await open(path, flags | constants.O_CREAT | constants.O_EXCL, 0o600), isNew: true };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    try {
      return { file: await open(path, flags), isNew: false };
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (code === 'EACCES' || code === 'EPERM') return undefined;
      if (code !== 'ENOENT') throw error; // otherwise its owner has just removed it
    }
  }
}

/** @returns false where the log belongs to another process */
async function claim(path: string, file: FileHandle, header: string): Promise<boolean> {
  const { owner } = parseLog(await textOf(path), header);
  if (owner !== undefined && owner !== process.pid) return false;
  await file.appendFile(`-\n${process.pid} ${header}\n`); // completes an unfinished line, so that it stays invalid
  // Reads by path: if the owner has removed the log meanwhile, nobody owns it.
  return parseLog(await textOf(path), header).owner === process.pid;
}

/** The first process that still runs, and the pieces that have arrived of the object that `header` describes. */
function parseLog(text: string, header: string): { readonly owner: number | undefined; readonly done: Map<number, number> } {
  const done = new Map<number, number>();
  const objects = new Map<string, string>();
  let owner: number | undefined;
  for (const line of text.split('\n').slice(0, -1)) {
    const [, writer = '', object, piece, crc] = /^(\d+) (?:(\{.*\})|(\d{1,10}) (\d{1,10}))$/.exec(line) ?? [];
    if (object !== undefined) {
      objects.set(writer, object);
      if (isRunning(Number(writer))) owner ??= Number(writer);
    } else if (objects.get(writer) === header) {
      done.set(Number(piece), Number(crc));
    }
  }
  return { owner, done };
}

async function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
}

function isRunning(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Whether a process has ended, but its parent has not collected it, as the first process of a container may never do. */
function isZombie(pid: number): boolean {
  try {
    return /^\d+ \(.*\) [ZX] /s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false; // not on Linux
  }
}
