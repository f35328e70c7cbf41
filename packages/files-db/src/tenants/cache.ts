import type { Tenant } from './tenant.ts';

interface Entry {
  readonly tenant: Promise<Tenant>;
  /** Milliseconds of `performance.now()`. */
  readonly until: number;
  /** Set once it is loaded. */
  uuid?: string;
}

/** Remembers tenants for a short time, by the key they were asked for. Concurrent calls share one load. */
export class TenantCache {
  readonly #entries = new Map<string, Entry>();
  readonly #milliseconds: number;
  readonly #maxEntries: number;

  constructor(seconds: number, maxEntries = 10_000) {
    this.#milliseconds = seconds * 1000;
    this.#maxEntries = maxEntries;
  }

  /** A load that fails is not remembered. */
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

  /** Called after a change by this process. Also forgets what is being loaded, which may have been read before the change. */
  forget(uuid: string): void {
    for (const [key, entry] of this.#entries) {
      if (entry.uuid === undefined || entry.uuid === uuid) this.#entries.delete(key);
    }
  }

  /** Called when what is remembered turned out to be out of date. */
  clear(): void {
    this.#entries.clear();
  }

  #remember(key: string, entry: Entry): void {
    this.#entries.delete(key); // makes the entry the newest
    this.#entries.set(key, entry);
    if (this.#entries.size <= this.#maxEntries) return;
    const oldest = this.#entries.keys().next();
    if (oldest.done !== true) this.#entries.delete(oldest.value);
  }
}
