import { randomUUID } from 'node:crypto';
import { open, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

import { makeDirectories } from '../directories.ts';

const readBytes = 262_144;

/** Keeps handles referenced: Node ends a process that loses one, as with the stream of an upload that its caller has forgotten. */
const unclosed = new Set<FileHandle>();

/** A nameless file for bytes that cannot stay in memory. It is gone when this process ends, in whatever way. */
export class SpoolFile {
  readonly #file: FileHandle;
  #size = 0;

  private constructor(file: FileHandle) {
    this.#file = file;
    unclosed.add(file);
  }

  /** @param directory default: the system's directory for temporary files */
  static async open(directory: string = tmpdir()): Promise<SpoolFile> {
    await makeDirectories(directory, 0o700);
    const path = join(directory, `coffer-${randomUUID()}`);
    const file = new SpoolFile(await open(path, 'wx+', 0o600));
    try {
      await unlink(path);
      return file;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Bytes that are definitely in the file. */
  get size(): number {
    return this.#size;
  }

  /** Appends bytes. One call at a time. @throws the file system's error, such as that of a full disk */
  async append(bytes: Uint8Array): Promise<void> {
    for (let written = 0; written < bytes.byteLength;) {
      const { bytesWritten } = await this.#file.write(bytes, written, bytes.byteLength - written, this.#size + written);
      written += bytesWritten;
    }
    this.#size += bytes.byteLength;
  }

  /** Fills the beginning of `target` with the whole file. */
  async readInto(target: Uint8Array): Promise<void> {
    for (let read = 0; read < this.#size;) {
      const { bytesRead } = await this.#file.read(target, read, this.#size - read, read);
      if (bytesRead === 0) throw new Error('A spooled part is shorter than what was written.');
      read += bytesRead;
    }
  }

  /** The whole file. It stays open when the stream ends; close it only then. */
  stream(): Readable {
    return this.#file.createReadStream({ start: 0, highWaterMark: readBytes, autoClose: false });
  }

  close(): Promise<void> {
    unclosed.delete(this.#file);
    return this.#file.close();
  }
}
