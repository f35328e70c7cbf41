/** Who has a place, and may do without it for now. */
export interface Lender {
  readonly tenant: string;
  /** Milliseconds for which the place has been of no use; undefined where it is. */
  readonly stalledFor: number | undefined;
  lend(): void;
}

/** Has the place be given back that has been of no use for the longest time. @returns whether there was one */
export function lendOne(lenders: Iterable<Lender>, tenant: string | undefined): boolean {
  let longest: Lender | undefined;
  for (const lender of lenders) {
    if (tenant !== undefined && lender.tenant !== tenant) continue;
    if ((lender.stalledFor ?? 0) > (longest?.stalledFor ?? 0)) longest = lender;
  }
  longest?.lend();
  return longest !== undefined;
}
