import type { OperationEvent, TransferEvent } from '@coffer/storage-core';

type Labels = Readonly<Record<'operation' | 'backend' | 'tenant', string>>;

/** Counts for one operation of one tenant. */
interface OperationTally {
  readonly labels: Labels;
  success: number;
  error: number;
  /** Durations of the calls. */
  readonly seconds: number[];
}

interface ByteTally {
  readonly labels: Pick<Labels, 'backend' | 'tenant'>;
  upload: number;
  download: number;
}

interface Sinks {
  readonly operations: (tally: OperationTally) => void;
  readonly bytes: (tally: ByteTally) => void;
}

/** Durations kept before they are handed on unasked. */
const maxDurations = 256;

/**
 * Counts cheaply, and hands the counts on when asked: for everything it counts, prom-client makes a string of the labels and looks it up,
 * which is several percent of the cost of a small object. There are as many tallies as prom-client has time series.
 */
export class Tallies {
  readonly #sinks: Sinks;
  readonly #byBackend = new Map<string, Map<string, TenantTallies>>();

  constructor(sinks: Sinks) {
    this.#sinks = sinks;
  }

  /** @param tenant the tenant's label */
  operation({ operation, backend, outcome, ms }: OperationEvent, tenant: string): void {
    const { operations } = this.#talliesOf(backend, tenant);
    let tally = operations.get(operation);
    if (tally === undefined)
      operations.set(operation, (tally = { labels: { operation, backend, tenant }, success: 0, error: 0, seconds: [] }));
    tally[outcome]++;
    if (Number.isFinite(ms) && tally.seconds.push(ms / 1000) >= maxDurations) this.#emit(tally);
  }

  /** @param tenant the tenant's label */
  transfer({ direction, backend, bytes }: TransferEvent, tenant: string): void {
    this.#talliesOf(backend, tenant).bytes[direction] += bytes;
  }

  flush(): void {
    for (const tenants of this.#byBackend.values()) {
      for (const { operations, bytes } of tenants.values()) {
        for (const tally of operations.values()) this.#emit(tally);
        const counted = { ...bytes };
        [bytes.upload, bytes.download] = [0, 0];
        this.#sinks.bytes(counted);
      }
    }
  }

  #emit(tally: OperationTally): void {
    const { labels, success, error } = tally;
    const seconds = tally.seconds.splice(0);
    [tally.success, tally.error] = [0, 0]; // reset first: the sink may throw
    this.#sinks.operations({ labels, success, error, seconds });
  }

  #talliesOf(backend: string, tenant: string): TenantTallies {
    let tenants = this.#byBackend.get(backend);
    if (tenants === undefined) this.#byBackend.set(backend, (tenants = new Map<string, TenantTallies>()));
    let tallies = tenants.get(tenant);
    if (tallies === undefined) {
      tenants.set(tenant, (tallies = { operations: new Map(), bytes: { labels: { backend, tenant }, upload: 0, download: 0 } }));
    }
    return tallies;
  }
}

interface TenantTallies {
  readonly operations: Map<string, OperationTally>;
  readonly bytes: ByteTally;
}
