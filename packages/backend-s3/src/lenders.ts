/** Who has a place, and may do without it for now. */
export interface Lender {
  readonly tenant: string;
  /** Milliseconds for which the place has been of no use; undefined where it is. */
  readonly stalledFor: number | undefined;
  /** Milliseconds for which it has been used; undefined where others have to wait some more. */
  readonly servedFor: number | undefined;
  lend(): void;
  /** Does without it for good, and takes no other. */
  close(): void;
}

/**
 * Has a place be given back: the one that has been of no use for the longest time, or else been used for the longest.
 * @returns whether there was one
 */
export function lendOne(lenders: Iterable<Lender>, tenant: string | undefined): boolean {
  let stalled: Lender | undefined;
  let served: Lender | undefined;
  for (const lender of lenders) {
    if (tenant !== undefined && lender.tenant !== tenant) continue;
    if ((lender.stalledFor ?? 0) > (stalled?.stalledFor ?? 0)) stalled = lender;
    if ((lender.servedFor ?? 0) > (served?.servedFor ?? 0)) served = lender;
  }
  const lender = stalled ?? served;
  lender?.lend();
  return lender !== undefined;
}
