import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

// Room for a few reads of the socket.
const bufferedBytes = 256 * 1024;
const lingerBytes = 16 * 1024 * 1024;
const lingerMs = 2000;

/**
 * The body of a request as a stream of its own: destroying it, as a refused upload does, leaves the connection up, so
 * that the refusal can still be sent. A client that leaves before the end is an error of the stream.
 */
export function bodyOf(request: IncomingMessage): Readable {
  const body = new Readable({
    highWaterMark: bufferedBytes,
    read: () => void request.resume(),
    destroy(error, done) {
      request.pause();
      done(error);
    },
  });
  request.pause();
  request.on('data', (chunk: Buffer) => {
    if (!body.destroyed && !body.push(chunk)) request.pause();
  });
  request.once('end', () => body.push(null));
  request.once('error', (error) => body.destroy(error));
  return body;
}

/**
 * Lets a client that is still sending read its answer: closing at once would reset the connection under it. Who goes on
 * for long is cut off.
 */
export function lingerOver(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return;
  let left = lingerBytes;
  const timer = setTimeout(() => request.destroy(), lingerMs);
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) request.destroy();
  });
  request.once('close', () => clearTimeout(timer));
  request.on('error', () => {}); // the client may leave as it likes
  request.resume();
}
