import { Readable } from 'node:stream';

import type { Running, Task } from './task.ts';
import type { Transfer } from './transfer.ts';
import type { UploadSettings } from './upload-task.ts';

/** What comes on stdin, however much that is, as one object. It comes once. */
export function stdinTask(key: string, { session, bucket, acl, storageClass, contentType }: UploadSettings): Task<Transfer> {
  const path = '-';
  const options = { bucket, key, ...(acl && { acl }), ...(storageClass && { storageClass }), ...(contentType && { contentType }) };
  return {
    subject: { path },
    isOnce: true,
    preview: () => [{ key, bucket, path }],
    async run(running) {
      const body = Readable.from(counted(process.stdin, running), { objectMode: false });
      const { size, etag } = await session.storage.uploadFile({ ...options, body }, session.ctx);
      return { done: [{ key, bucket, path, size, etag }] };
    },
  };
}

async function* counted(chunks: AsyncIterable<Uint8Array>, running: Running): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    yield chunk;
    running.moved(chunk.length);
  }
}
