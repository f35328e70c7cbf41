import type { Tenant } from './tenant.ts';

interface Entry {
  readonly tenant: Promise<Tenant>;
  /** Milliseconds of `performance.now()`. */
  readonly until: number;
  /** Known once it is loaded. */
  uuid?: string;
}

/** Tenants by what they were asked for under, for a short time. Who asks while one is being loaded waits for that. */
export class TenantCache {
  readonly #entries = new Map<string, Entry>();
  readonly #milliseconds: number;
  readonly #most: number;

  constructor(seconds: number, most = 10_000) {
    this.#milliseconds = seconds * 1000;
    this.#most = most;
  }

  /** What is not found is not remembered. */
  async get(key: string, load: () => Promise<Tenant>): Promise<Tenant> {
    const known = this.#entries.get(key);
    if (known !== undefined && known.until > performance.now()) return known.tenant;
    const entry: Entry = { tenant: load(), until: performance.now() + this.#milliseconds };
    this.#remember(key, entry);
    try {
      const tenant = await entry.tenant;
      entry.uuid = tenant.tenantUuid;
      return tenant;
    } catch (error) {
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
      throw error;
    }
  }

  /** After a change of ours: also what is being loaded, since it may have been read before the change. */
  forget(uuid: string): void {
    for (const [key, entry] of this.#entries) {
      if (entry.uuid === undefined || entry.uuid === uuid) this.#entries.delete(key);
    }
  }

  /** What is remembered turned out to be out of date. */
  clear(): void {
    this.#entries.clear();
  }

  #remember(key: string, entry: Entry): void {
    this.#entries.delete(key); // the newest last
    this.#entries.set(key, entry);
    if (this.#entries.size <= this.#most) return;
    const oldest = this.#entries.keys().next();
    if (oldest.done !== true) this.#entries.delete(oldest.value);
  }
}
