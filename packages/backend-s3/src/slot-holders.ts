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
