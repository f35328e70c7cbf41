import { randomUUID } from 'node:crypto';
import { open, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

import { makeDirectories } from '../directories.ts';
import { storageError } from '../errors.ts';
import { fileBody } from './file-body.ts';
import type { OpenFile } from './file-body.ts';

/** Keeps handles referenced: Node ends a process that loses one, as with the stream of an upload that its caller has forgotten. */
const unclosed = new Set<FileHandle>();

/** A nameless file for bytes that cannot stay in memory. It is gone when this process ends, in whatever way. */
export class SpoolFile implements OpenFile {
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

  /** Reads some of the bytes that were appended, at least one. @throws storage_unavailable when they cannot be read back */
  async read(target: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }> {
    try {
      const { bytesRead } = await this.#file.read(target, offset, length, position);
      if (bytesRead === 0) throw new Error('The file is shorter than what was written.');
      return { bytesRead };
    } catch (cause) {
      throw storageError('storage_unavailable', 'The upload could not be read back from the local disk.', { cause });
    }
  }

  /** Fills the beginning of `target` with the whole file. @throws storage_unavailable */
  async readInto(target: Uint8Array): Promise<void> {
    for (let read = 0; read < this.#size;) read += (await this.read(target, read, this.#size - read, read)).bytesRead;
  }

  /** The whole file, or storage_unavailable. It stays open when the stream ends; close it only then. */
  stream(): Readable {
    return fileBody(this, { size: this.#size });
  }

  close(): Promise<void> {
    unclosed.delete(this.#file);
    return this.#file.close();
  }
}
