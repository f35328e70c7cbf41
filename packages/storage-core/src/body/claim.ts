import { Readable } from 'node:stream';

import { isCustomStream, isForeignStream } from './body.ts';
import { beingReadError } from './errors.ts';

const claimed = new WeakSet<object>();

/**
 * Keeps a stream or a generator from being stored twice at once: each upload would get a part of its bytes, and both would succeed. Web
 * streams reject a second reader by themselves, and bytes may be read any number of times.
 * @returns a function that releases the body, once; a caller that hands the body on to another upload calls it just before
 * @throws invalid_argument while another upload holds the body
 */
export function claimBody(body: unknown): () => void {
  if (!isReadOnce(body)) return () => {};
  if (claimed.has(body)) throw beingReadError();
  claimed.add(body);
  let isHeld = true;
  return () => {
    if (isHeld) claimed.delete(body);
    isHeld = false;
  };
}

function isReadOnce(body: unknown): body is object {
  if (body instanceof Readable || isForeignStream(body)) return true;
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body && ('next' in body || isCustomStream(body));
}
