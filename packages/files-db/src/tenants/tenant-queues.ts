import { canonicalTenantUuid } from '@coffer/storage-core';
import type { Sql } from 'postgres';

import { Batcher, inputProcessed } from '../batcher.ts';
import type { FileRow } from '../file-record.ts';
import { reserveFile, reserveFiles, settleFile, settleFiles } from '../file-statements.ts';
import type { Granted, ReservedFile, SettledFile } from '../file-statements.ts';

/** Up to this many queues stay while idle: creating one for each upload is wasted work, and the map would hold on to it (see `InFlight`). */
const maxIdleQueues = 1000;

/**
 * Runs the statements with which every upload changes its tenant's usage: one at a time per tenant, combining those that arrive while one
 * runs. In the database they would wait for each other anyway, each on a connection that other tenants need.
 */
export class TenantQueues {
  readonly #sql: Sql;
  readonly #queues = new Map<string, TenantQueue>();

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** See `reserveFile`. */
  reserve(file: ReservedFile): Promise<Granted | undefined> {
    return this.#enqueue(file.tenant, (queue) => queue.reserving, file);
  }

  /** See `settleFile`. @param tenantUuid null for a file without a tenant, whose row nobody else waits for */
  async settle(tenantUuid: string | null, file: SettledFile): Promise<FileRow | undefined> {
    if (tenantUuid !== null) return this.#enqueue(canonicalTenantUuid(tenantUuid), (queue) => queue.settling, file);
    const [row] = await settleFile(this.#sql, file);
    return row;
  }

  #enqueue<P, R>(tenant: string, of: (queue: TenantQueue) => Batcher<P, R>, parameters: P): Promise<R> {
    let queue = this.#queues.get(tenant);
    if (queue === undefined) {
      queue = { reserving: reserving(this.#sql), settling: settling(this.#sql), isRunning: false };
      this.#queues.set(tenant, queue);
    }
    const done = of(queue).add(parameters);
    if (!queue.isRunning) void this.#run(tenant, queue);
    return done;
  }

  async #run(tenant: string, queue: TenantQueue): Promise<void> {
    queue.isRunning = true;
    while (queue.settling.isWaiting || queue.reserving.isWaiting) {
      await inputProcessed();
      await queue.settling.flush();
      await queue.reserving.flush();
    }
    queue.isRunning = false;
    if (this.#queues.size > maxIdleQueues) this.#queues.delete(tenant);
  }
}

interface TenantQueue {
  readonly reserving: Batcher<ReservedFile, Granted | undefined>;
  readonly settling: Batcher<SettledFile, FileRow | undefined>;
  isRunning: boolean;
}

function reserving(sql: Sql): TenantQueue['reserving'] {
  return new Batcher({
    one: async (file) => {
      const [granted] = await reserveFile(sql, file);
      return granted;
    },
    async many(files) {
      const { tenant, bucket, onRecord } = files[0]!;
      if (files.some((file) => file.bucket !== bucket || file.onRecord !== onRecord)) return undefined; // the tenant's bucket changes
      // All of them or none: when too little is left for all, each file has to ask for its own share.
      const asked = files.reduce((sum, file) => sum + BigInt(file.asked), 0n);
      const [granted] = await reserveFiles(sql, { tenant, bucket, onRecord, asked: String(asked), files: JSON.stringify(files) });
      return granted && files.map((file) => ({ granted_bytes: String(file.asked), limited: granted.limited }));
    },
  });
}

function settling(sql: Sql): TenantQueue['settling'] {
  return new Batcher({
    one: async (file) => {
      const [row] = await settleFile(sql, file);
      return row;
    },
    async many(files) {
      // Of two calls that complete the same upload, one must learn that it was too late: each has to ask for itself.
      if (new Set(files.map(({ id }) => id)).size < files.length) return undefined;
      const rows = await settleFiles(sql, { files: JSON.stringify(files) });
      const byId = new Map(rows.map((row) => [row.id, row]));
      return files.map(({ id }) => byId.get(id));
    },
  });
}
