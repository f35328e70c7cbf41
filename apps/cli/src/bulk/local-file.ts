import { constants } from 'node:fs';
import type { Stats } from 'node:fs';
import type { Readable } from 'node:stream';

import { fileBody } from '@coffer/storage-core';
import type { OpenFile } from '@coffer/storage-core';

import { LocalError } from '../problem.ts';
import { disk, readInThread } from './disk.ts';
import { takeBuffer } from './read-buffers.ts';
import { notRegularError } from './walk.ts';

/** Files up to this many bytes are read whole: one buffer is cheaper than a stream, and can be sent again. */
export const streamAbove = 2 ** 20;

/** An open file that must not change while it is read, so that its bytes are those of one moment. */
export class LocalFile {
  readonly size: number;
  readonly #fd: number;
  readonly #before: Stats;

  private constructor(fd: number, before: Stats) {
    this.#fd = fd;
    this.#before = before;
    this.size = before.size;
  }

  /** Does not block on a pipe that has replaced the file. @throws LocalError, errors of the file system */
  static async open(path: string): Promise<LocalFile> {
    const fd = await disk.open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const found = await disk.stat(fd);
      if (!found.isFile()) throw found.isDirectory() ? new LocalError('is_a_directory', 'Is a directory.') : notRegularError();
      return new LocalFile(fd, found);
    } catch (error) {
      await disk.close(fd);
      throw error;
    }
  }

  /** The whole content, in a buffer of `takeBuffer`. @throws LocalError `file_changed`, `not_a_file` */
  async readAll(): Promise<Buffer> {
    if (this.size === 0) await this.#assertEmpty();
    const buffer = takeBuffer(this.size);
    let end = 0;
    while (end < this.size) {
      const bytesRead = await disk.read(this.#fd, buffer, end, end);
      if (bytesRead === 0) return this.#endedEarly();
      end += bytesRead;
    }
    await this.#assertUnchanged();
    return buffer;
  }

  /**
   * The whole content as a stream, which is the source of every large upload. The last bytes are delivered only if the file has not
   * changed meanwhile, so that no object mixes bytes of different moments.
   * @param passed called with the number of bytes of each read
   */
  body(passed: (bytes: number) => void): Readable {
    const read: OpenFile['read'] = async (target, offset, length, position) => {
      const result = await readInThread(this.#fd, target, offset, length, position);
      if (result.bytesRead === 0) return this.#endedEarly();
      if (position + result.bytesRead >= this.size) await this.#assertUnchanged();
      passed(result.bytesRead);
      return result;
    };
    return fileBody({ read }, { size: this.size });
  }

  /** @throws LocalError `file_changed` */
  async #assertUnchanged(): Promise<void> {
    const { size, mtimeMs, ctimeMs } = await disk.stat(this.#fd);
    const before = this.#before;
    if (size !== before.size || mtimeMs !== before.mtimeMs || ctimeMs !== before.ctimeMs) throw fileChangedError();
  }

  /** Files that the system generates while they are read have size 0. */
  async #assertEmpty(): Promise<void> {
    if ((await disk.read(this.#fd, Buffer.alloc(1), 0, 0)) === 0) return;
    await this.#assertUnchanged();
    throw wrongSizeError('Its size is given as 0, but it is not empty, like files in /proc');
  }

  /** Or they have the size of a page, whatever they hold: no later attempt could read as much. @throws LocalError always */
  async #endedEarly(): Promise<never> {
    await this.#assertUnchanged();
    throw wrongSizeError('It holds less than its size says, like files in /sys');
  }

  async close(): Promise<void> {
    await disk.close(this.#fd);
  }
}

function wrongSizeError(reason: string): LocalError {
  return new LocalError('not_a_file', `${reason}; upload its content through a pipe.`);
}

function fileChangedError(): LocalError {
  return new LocalError('file_changed', 'The file changed while it was being read.');
}
