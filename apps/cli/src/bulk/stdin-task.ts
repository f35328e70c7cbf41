import { createReadStream, fstatSync } from 'node:fs';
import { pipeline, Transform } from 'node:stream';
import type { Readable } from 'node:stream';

import { assertObjectKey } from '@coffer/storage-core';

import { LocalError } from '../problem.ts';
import type { Running, Task } from './task.ts';
import type { Transfer } from './transfer.ts';
import type { UploadSettings } from './upload-task.ts';

export type StdinSettings = Omit<UploadSettings, 'update'>;

/** Uploads stdin, of any length, as one object. It can be read only once. */
export function stdinTask(key: string, { session, bucket, acl, storageClass, contentType }: StdinSettings): Task<Transfer> {
  const path = '-';
  return {
    subject: { path },
    isOnce: true,
    preview() {
      assertObjectKey(key);
      return [{ key, bucket, path }];
    },
    async run(running) {
      const body = pipeline(stdin(), countBytes(running), () => {}); // `body` reports errors to its reader
      const { size, etag } = await session.storage.uploadFile({ bucket, key, acl, storageClass, contentType, body }, session.ctx);
      return { done: [{ key, bucket, path, size, etag }] };
    },
  };
}

/** Node treats an unknown kind of stdin as empty. */
function stdin(): Readable {
  const found = fstatSync(0);
  if (found.isDirectory()) throw new LocalError('is_a_directory', 'Is a directory.');
  return found.isBlockDevice() ? createReadStream('', { fd: 0 }) : process.stdin;
}

function countBytes(running: Running): Transform {
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      running.moved(chunk.length);
      done(null, chunk);
    },
  });
}
