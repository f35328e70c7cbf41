import { once } from 'node:events';
import type { ClientRequest } from 'node:http';

/**
 * Writes pieces with backpressure until the request is answered or fails; the reason is then in `answered`.
 * @returns whether all pieces were written
 */
export async function writePieces(request: ClientRequest, pieces: Iterable<Buffer>, answered: Promise<unknown>): Promise<boolean> {
  let isOver = false;
  const over = answered.then(
    () => (isOver = true),
    () => (isOver = true),
  );
  for (const piece of pieces) {
    if (isOver) return false;
    if (!request.write(piece)) await Promise.race([once(request, 'drain'), over]);
  }
  return true;
}
