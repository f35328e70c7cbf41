import { once } from 'node:events';
import type { ClientRequest } from 'node:http';

/**
 * Writes pieces as they are wanted, until the request is answered: then the answer, or the error, says why.
 * @returns whether all are written
 */
export async function pour(request: ClientRequest, pieces: Iterable<Buffer>, answered: Promise<unknown>): Promise<boolean> {
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
