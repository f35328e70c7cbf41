/**
 * Whether calls have come from more than one tenant. All shared limits ask the same instance, so that a tenant which has only written so
 * far finds room when it reads for the first time.
 */
export class Tenants {
  #first: string | undefined;
  #hasSeveral = false;

  get hasSeveral(): boolean {
    return this.#hasSeveral;
  }

  /** A call without a tenant does not count, unless it takes a share of something (then it is `''`, as for readers of public objects). */
  note(tenant: string | undefined): void {
    this.#first ??= tenant;
    if (tenant !== undefined && tenant !== this.#first) this.#hasSeveral = true;
  }
}
