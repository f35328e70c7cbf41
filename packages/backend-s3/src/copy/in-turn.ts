import type { Store } from '../store.ts';
import type { Taker } from '../slots.ts';

/**
 * Makes a request by which the server copies many bytes. That may take minutes, during which its socket serves nobody else, so such requests
 * wait for a slot among themselves, and then for one of those of downloads. Both are given back once it is answered.
 */
export async function copyInTurn<T>(store: Store, taker: Taker, request: () => Promise<T>): Promise<T> {
  const leave = await store.copies.take(1, taker);
  try {
    const release = await store.downloads.take(1, taker);
    try {
      return await request();
    } finally {
      release();
    }
  } finally {
    leave();
  }
}
