import { smallPool } from './slot-holders.ts';
import type { Taker } from './slots.ts';
import type { Store } from './store.ts';

/**
 * Makes a request that keeps its socket for long: a copy of many bytes, which may take minutes, the deletion of many objects, or an upload
 * that comes at the pace of its client. The socket serves nobody else meanwhile, so such requests wait for a slot among themselves, and then
 * for one of those of downloads. Both are given back once it is answered. A command has nobody to leave sockets to, and gains nothing if its
 * own copies wait for each other and give up.
 */
export async function inTurn<T>(store: Store, taker: Taker, request: () => Promise<T>): Promise<T> {
  if (store.settings.patient) return request();
  const leave = await store.bulk.take(1, taker);
  try {
    // Readers would have too few of those left. Everything else gets a socket of theirs.
    if (store.settings.maxPoolConnections <= smallPool) return await request();
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

/**
 * How many such requests one operation makes at once: more would wait for each other, and give up while others are repeated. Ask before each:
 * once there are several tenants, they are fewer.
 */
export function bulkAtOnce({ settings, bulk }: Store, most: number): number {
  return settings.patient ? most : Math.min(most, bulk.limit);
}
