import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** As much of a write as has to leave within the time of a socket. */
const pieceBytes = 256 * 1024;

type Done = (error?: Error | null) => void;

/** What those who extend a socket know of it. */
interface Extended extends Socket {
  readonly _handle?: object | null;
  _onTimeout: () => void;
  _unrefTimer(): void;
}

/**
 * Has a socket time out when nothing leaves for as long, and not before. Node looks at how much of a write is still there. The sockets
 * of Bun and of Deno do not tell: Bun's, when they should time out while there is any, never do again; Deno's do in the midst of a
 * large one that goes on.
 * @returns the socket
 */
export function watchWrites<S extends Duplex>(socket: S): S {
  const extended = socket as unknown as Extended;
  const { _handle: handle, timeout } = extended;
  if (handle === undefined || handle === null || 'writeQueueSize' in handle) return socket;
  const write = extended._write.bind(extended) as (chunk: unknown, encoding: BufferEncoding, done: Done) => void;
  extended._onTimeout = () => void extended.emit('timeout');
  if (timeout !== undefined && timeout > 0) extended.setTimeout(timeout); // anew: it knew of the other way already
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
