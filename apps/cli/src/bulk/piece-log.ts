import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';

import { partPath } from './part-file.ts';

/** What a half-finished download is of. Of anything else it is worth nothing. */
export interface PieceLogHead {
  readonly bucket: string;
  readonly key: string;
  readonly etag: string;
  readonly size: number;
  readonly pieceSize: number;
}

/**
 * Beside a part file, which of its pieces are there: a line of JSON about the object, one with the process that writes, then
 * the number of each piece and its CRC-32, since a power loss may keep the line and not the bytes. A line that a killed
 * process has not finished counts for nothing.
 */
export class PieceLog {
  readonly partPath: string;
  /** The CRC-32 of each piece that is there, by its number. */
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

  /** @returns undefined while another process downloads to the same target */
  static async open(target: string, head: PieceLogHead): Promise<PieceLog | undefined> {
    const part = partPath(target, createHash('sha256').update(basename(target)).digest('hex').slice(0, 24));
    const path = `${part}.log`;
    const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND | (constants.O_NOFOLLOW ?? 0), 0o600);
    try {
      const [first = '', writer = '', ...rest] = (await file.readFile('utf8')).split('\n');
      rest.pop(); // the unfinished one, or nothing
      if (isRunning(Number(writer))) {
        await file.close();
        return undefined;
      }
      const own = JSON.stringify(head);
      const isWorth = first === own && (await sizeOf(part)) === head.size;
      const lines = isWorth ? rest.filter((line) => /^\d{1,10} \d{1,10}$/.test(line)) : [];
      if (!isWorth) await rm(part, { force: true });
      await file.truncate();
      await file.appendFile([own, process.pid, ...lines, ''].join('\n'));
      const done = new Map(lines.map((line) => line.split(' ').map(Number) as [number, number]));
      return new PieceLog({ partPath: part, path, file, done });
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async add(piece: number, crc: number): Promise<void> {
    await this.#file.appendFile(`${piece} ${crc}\n`);
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

async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
}

function isRunning(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
