import { HashThread } from '../hash-thread.ts';

/** Hashes in a second thread, after the first has ended, and leaves it to the process to end by itself. */
const thread = new HashThread();
await thread
  .begin()
  .update({ no: 'bytes' } as never)
  .catch(() => {});
const stream = thread.begin();
await stream.update(new Uint8Array(new SharedArrayBuffer(1)));
process.stdout.write(`${(await stream.digest()).md5}\n`);
