import { Buffer } from 'node:buffer';
import { Readable } from 'node:stream';
import { isUint8Array } from 'node:util/types';

import { notBytesError } from './errors.ts';

/** The members that minipass streams of any version have. */
export interface Minipass {
  on(event: 'data', listener: (chunk: unknown) => void): unknown;
  pause(): void;
  resume(): void;
  /** Settles once the stream has ended, failed or been destroyed. */
  promise(): Promise<unknown>;
}

export function isMinipass(stream: object): stream is Minipass {
  const { pause, resume, promise } = stream as Record<'pause' | 'resume' | 'promise', unknown>;
  return [pause, resume, promise].every((method) => typeof method === 'function');
}

/**
 * Listens at once: data given to other listeners, before or during the read, is not given again. Not by iterator: that of an asynchronous
 * stream may report the end together with a chunk, and any data still to come would be lost.
 * @param emptyError error to fail with when there is no chunk
 */
export function minipassBody(source: Minipass, emptyError: Error | undefined): Readable {
  const body = new Readable({ read: () => source.resume() });
  let isEmpty = true;
  const onData = (chunk: unknown): void => {
    isEmpty = false;
    if (body.destroyed) return;
    if (!isUint8Array(chunk) && typeof chunk !== 'string') body.destroy(notBytesError());
    // A copy: the source may fill the same memory again.
    else if (!body.push(typeof chunk === 'string' ? chunk : Buffer.from(chunk))) source.pause();
  };
  const onEnd = (): void => {
    source.pause(); // nobody reads it any more
    if (isEmpty && emptyError !== undefined) body.destroy(emptyError);
    else if (!body.destroyed) body.push(null);
  };
  source.promise().then(onEnd, (error: Error) => body.destroy(error));
  source.on('data', onData); // makes it flow
  return body;
}
