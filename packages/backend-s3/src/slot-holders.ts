import type { Pool } from './http/pool.ts';

/** The holder of a download slot, which can do without it for now. */
export interface SlotHolder {
  readonly tenant: string;
  /** Milliseconds for which the slot has been idle; undefined if it is in use. */
  readonly stalledFor: number | undefined;
  /** Milliseconds for which the slot has been used; undefined if others have to wait longer. */
  readonly servedFor: number | undefined;
  yieldSlot(): void;
  /** Gives up the slot for good and takes no other. */
  close(): void;
}

/**
 * Up to so many sockets, none can be left to everything else: whoever waits for a socket asks open bodies for theirs. Of four, uploads that
 * are streamed for their conditions could take all slots for downloads that a tenant may have, and wait for its own downloads.
 */
export const smallPool = 4;
/** Milliseconds between such requests while somebody waits. */
export const reclaimInterval = 50;

/** Calls `reclaim` again and again for as long as requests wait for a socket. */
export function reclaimSockets(agent: Pool, reclaim: () => void): void {
  let timer: NodeJS.Timeout | undefined;
  const ask = (): void => {
    timer = agent.hasWaiters ? setTimeout(ask, reclaimInterval).unref() : undefined;
    if (timer !== undefined) reclaim();
  };
  agent.on('wait', () => {
    if (timer === undefined) ask();
  });
}

/**
 * Asks one holder (of `tenant`, if given) to give back its slot: the one that has been idle longest or, if none is idle, the one that has
 * been used longest.
 * @returns whether there was one
 */
export function reclaimOne(holders: Iterable<SlotHolder>, tenant: string | undefined): boolean {
  let stalled: SlotHolder | undefined;
  let served: SlotHolder | undefined;
  for (const holder of holders) {
    if (tenant !== undefined && holder.tenant !== tenant) continue;
    if ((holder.stalledFor ?? 0) > (stalled?.stalledFor ?? 0)) stalled = holder;
    if ((holder.servedFor ?? 0) > (served?.servedFor ?? 0)) served = holder;
  }
  const chosen = stalled ?? served;
  chosen?.yieldSlot();
  return chosen !== undefined;
}
