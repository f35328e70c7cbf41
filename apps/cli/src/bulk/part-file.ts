import { randomBytes } from 'node:crypto';
import { close, constants, ftruncate, open, rename, rm, write } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

import { LocalError } from '../problem.ts';

const openFile = promisify(open);
const closeFile = promisify(close);
const renameFile = promisify(rename);
const truncateFile = promisify(ftruncate);
const removeFile = promisify(rm);
const writeFile = promisify(write) as (
  fd: number,
  buffer: Uint8Array,
  offset: number,
  length: number,
  position: number,
) => Promise<{ bytesWritten: number }>;

/** A name beside the target, so that renaming stays within the file system. */
export function partPath(target: string, mark: string = randomBytes(6).toString('hex')): string {
  return join(dirname(target), `.coffer-${mark}.part`);
}

/** The sink of every download: a file beside the target that takes its name once it is whole. */
export class PartFile {
  readonly path: string;
  readonly #target: string;
  readonly #fd: number;
  #isOpen = true;

  private constructor(path: string, target: string, fd: number) {
    this.path = path;
    this.#target = target;
    this.#fd = fd;
  }

  /** @param options.path of a file to go on with; default a new one */
  static async open(target: string, options: { readonly path?: string } = {}): Promise<PartFile> {
    const { path } = options;
    if (path !== undefined) return new PartFile(path, target, await openOrCreate(path));
    const own = partPath(target);
    return new PartFile(own, target, await openFile(own, 'wx'));
  }

  /** All of `bytes` at `position`. */
  async write(bytes: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      const { bytesWritten } = await writeFile(this.#fd, bytes, done, bytes.length - done, position + done);
      done += bytesWritten;
    }
  }

  async resize(size: number): Promise<void> {
    await truncateFile(this.#fd, size);
  }

  /** Gives it the target's name, over whatever file has it. @throws LocalError `is_a_directory` */
  async commit(): Promise<void> {
    await this.close();
    await renameFile(this.path, this.#target).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EISDIR' && error.code !== 'ENOTEMPTY') throw error;
      throw new LocalError('is_a_directory', `${this.#target} is a directory.`, { cause: error });
    });
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await closeFile(this.#fd);
  }

  async remove(): Promise<void> {
    await this.close().catch(() => {});
    await removeFile(this.path, { force: true });
  }
}

async function openOrCreate(path: string): Promise<number> {
  try {
    return await openFile(path, constants.O_RDWR | (constants.O_NOFOLLOW ?? 0));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return openFile(path, 'wx+');
  }
}
