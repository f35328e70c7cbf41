import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** Bytes of a write that have to leave within the timeout of a socket. */
const pieceBytes = 256 * 1024;

type Done = (error?: Error | null) => void;

/** Internals of a socket, as known to those who extend it. */
interface Extended extends Socket {
  readonly _handle?: object | null;
  _onTimeout: () => void;
  _unrefTimer(): void;
}

/**
 * Makes a socket time out when nothing has left for that long, and not before. Node checks how much of a write is still pending. The
 * sockets of Bun and Deno do not report that: those of Bun, if a write is pending when they should time out, never time out again; those of
 * Deno time out in the middle of a large write that makes progress.
 * @returns the socket
 */
export function watchWrites<S extends Duplex>(socket: S): S {
  const extended = socket as unknown as Extended;
  const { _handle: handle, timeout } = extended;
  if (handle === undefined || handle === null || 'writeQueueSize' in handle) return socket;
  const write = extended._write.bind(extended) as (chunk: unknown, encoding: BufferEncoding, done: Done) => void;
  extended._onTimeout = () => void extended.emit('timeout');
  if (timeout !== undefined && timeout > 0) extended.setTimeout(timeout); // set again: it already knew the original method
  return Object.assign(socket, {
    _writev: undefined,
    _write(chunk: unknown, encoding: BufferEncoding, done: Done): void {
      if (!(chunk instanceof Uint8Array) || chunk.byteLength <= pieceBytes) return write(chunk, encoding, done);
      let at = 0;
      const next = (error?: Error | null): void => {
        if ((error !== undefined && error !== null) || at >= chunk.byteLength) return done(error);
        extended._unrefTimer();
        const piece = chunk.subarray(at, (at += pieceBytes));
        write(piece, encoding, (failure) => process.nextTick(next, failure));
      };
      next();
    },
  });
}
