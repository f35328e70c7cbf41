/**
 * Whom calls have come for: whether there is more than one tenant. All that is shared between them asks the same one, since who has
 * only written so far is to find room when it reads for the first time.
 */
export class Tenants {
  #first: string | undefined;
  #areSeveral = false;

  get areSeveral(): boolean {
    return this.#areSeveral;
  }

  /** A call without one says nothing, unless it takes of what is shared (`''`): so does whoever reads what is public. */
  meet(tenant: string | undefined): void {
    this.#first ??= tenant;
    if (tenant !== undefined && tenant !== this.#first) this.#areSeveral = true;
  }
}
