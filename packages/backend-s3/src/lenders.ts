/** The holder of a place, which can do without it for now. */
export interface Lender {
  readonly tenant: string;
  /** Milliseconds for which the place has been idle; undefined if it is in use. */
  readonly stalledFor: number | undefined;
  /** Milliseconds for which the place has been used; undefined if others have to wait longer. */
  readonly servedFor: number | undefined;
  lend(): void;
  /** Gives up the place for good and takes no other. */
  close(): void;
}

/**
 * Asks one holder (of `tenant`, if given) to give back its place: the one that has been idle longest or, if none is idle, the one that has
 * been used longest.
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
