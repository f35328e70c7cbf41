import { hasCode } from '@coffer/storage-core';
import type { ObjectInfo, ObjectStream } from '@coffer/storage-core';

import { LocalError } from '../problem.ts';
import { assertMatchesEtag, assertSize, checkFor } from './verification.ts';
import type { Check, CheckSettings } from './verification.ts';
import { largeAbove } from './large-download.ts';
import type { Running, Task } from './task.ts';
import type { Transfer } from './transfer.ts';

export interface StdoutSettings extends CheckSettings {
  /** Resolves when more can be written: true, or false if nobody reads any more. */
  readonly write: (chunk: Uint8Array) => Promise<boolean>;
}

/** Writes an object to stdout as it arrives. What is written stays: another attempt continues after it, and only with the same object. */
export function stdoutTask(key: string, bucket: string, settings: StdoutSettings): Task<Transfer> {
  const download = new StdoutDownload(key, bucket, settings);
  const done = ({ size, etag }: ObjectInfo): Transfer => ({ key, bucket, path: '-', size, etag });
  return {
    subject: { key },
    preview: async () => [done(await settings.session.storage.getFileInfo({ bucket, key }, settings.session.ctx))],
    async run(running) {
      const info = await download.run(running);
      return { done: info === undefined ? [] : [done(info)] };
    },
  };
}

class StdoutDownload {
  readonly #key: string;
  readonly #bucket: string;
  readonly #settings: StdoutSettings;
  #info: ObjectInfo | undefined;
  #check: Check | undefined;
  #position = 0;
  /** The checksum of the complete output, if it does not match. */
  #mismatch: string | undefined;

  constructor(key: string, bucket: string, settings: StdoutSettings) {
    this.#key = key;
    this.#bucket = bucket;
    this.#settings = settings;
  }

  /** @returns undefined when nobody reads any more, as after `head` */
  async run(running: Running): Promise<ObjectInfo | undefined> {
    if (this.#info === undefined || this.#position < this.#info.size) {
      const opened = await this.#open();
      if (this.#info === undefined || this.#position === 0) {
        this.#info = opened.info;
        this.#check = opened.info.size <= largeAbove ? checkFor(opened.info, this.#settings.etagTrust) : undefined;
      }
      running.sized(this.#info.size);
      running.moved(this.#position);
      if (!(await this.#pass(opened, running))) return undefined;
      assertSize(this.#position, this.#info.size);
      this.#mismatch = this.#check?.mismatch();
    }
    await assertMatchesEtag(this.#info, this.#mismatch, this.#settings).catch((error: unknown) => {
      throw error instanceof LocalError ? new LocalError(error.code, `${error.message} They are already on stdout.`) : error;
    });
    return this.#info;
  }

  async #open(): Promise<ObjectStream> {
    const { storage, ctx } = this.#settings.session;
    const at = { bucket: this.#bucket, key: this.#key };
    if (this.#info === undefined || this.#position === 0) return storage.openFile(at, {}, ctx);
    try {
      return await storage.openFile(at, { range: { start: this.#position }, ifMatch: [this.#info.etag] }, ctx);
    } catch (error) {
      if (!hasCode(error, 'precondition_failed')) throw error;
      throw new LocalError('object_changed', 'The object changed while it was being downloaded, and part of it is already on stdout.');
    }
  }

  /** @returns whether anybody still reads */
  async #pass({ body }: ObjectStream, running: Running): Promise<boolean> {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      this.#check?.update(chunk);
      if (!(await this.#settings.write(chunk))) return false;
      this.#position += chunk.length;
      running.moved(chunk.length);
    }
    return true;
  }
}
