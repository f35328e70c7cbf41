import { hasCode } from '@coffer/storage-core';
import type { ObjectInfo, ObjectStream } from '@coffer/storage-core';

import { LocalError } from '../problem.ts';
import { assertRight, assertSize, checkFor } from './download-task.ts';
import type { Check, CheckSettings } from './download-task.ts';
import type { Running, Task } from './task.ts';
import type { Transfer } from './transfer.ts';

/** An object to stdout, as it comes. What has gone out stays so: another attempt goes on behind it, with the same object. */
export function stdoutTask(key: string, bucket: string, settings: CheckSettings): Task<Transfer> {
  const output = new StdoutDownload(key, bucket, settings);
  const done = ({ size, etag }: ObjectInfo): Transfer => ({ key, bucket, path: '-', size, etag });
  return {
    subject: { key },
    preview: async () => [done(await settings.session.storage.getFileInfo({ bucket, key }, settings.session.ctx))],
    async run(running) {
      try {
        return { done: [done(await output.run(running))] };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
        return { done: [] }; // nobody reads any more, as after `head`
      }
    },
  };
}

class StdoutDownload {
  readonly #key: string;
  readonly #bucket: string;
  readonly #settings: CheckSettings;
  #info: ObjectInfo | undefined;
  #check: Check | undefined;
  #position = 0;

  constructor(key: string, bucket: string, settings: CheckSettings) {
    this.#key = key;
    this.#bucket = bucket;
    this.#settings = settings;
  }

  async run(running: Running): Promise<ObjectInfo> {
    if (this.#info === undefined || this.#position < this.#info.size) {
      const opened = await this.#open();
      if (this.#info === undefined || this.#position === 0) {
        this.#info = opened.info;
        this.#check = checkFor(opened.info, this.#settings.sums);
      }
      running.sized(this.#info.size);
      running.moved(this.#position);
      await this.#pass(opened, running);
    }
    assertSize(this.#position, this.#info.size);
    await assertRight(this.#info, this.#check?.wrong(), this.#settings).catch((error: unknown) => {
      throw error instanceof LocalError ? new LocalError(error.code, `${error.message} They are on stdout already.`) : error;
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
      throw new LocalError('object_changed', 'The object changed while it was downloaded, and some of it is on stdout already.');
    }
  }

  async #pass({ body }: ObjectStream, running: Running): Promise<void> {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      this.#check?.update(chunk);
      await written(chunk);
      this.#position += chunk.length;
      running.moved(chunk.length);
    }
  }
}

function written(chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => process.stdout.write(chunk, (error) => (error ? reject(error) : resolve())));
}
