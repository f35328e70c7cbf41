import { HashThread } from '../hash-thread.ts';

/** Closes hash threads while their last answer is on its way and nothing else keeps the process alive. */
const block = new Uint8Array(new SharedArrayBuffer(1));
for (let round = 0; round < 5; round++) {
  const thread = new HashThread();
  const stream = thread.begin();
  await stream.update(block);
  const unheard = stream.update(block).catch(() => {}); // as after a write that failed meanwhile
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100); // until the thread has answered
  await thread.close();
  await unheard;
}
process.stdout.write('ended\n');
