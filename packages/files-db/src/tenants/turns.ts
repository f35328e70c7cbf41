import { canonicalTenantUuid } from '@coffer/storage-core';
import type { Sql } from 'postgres';

import type { FileRow } from '../file-record.ts';
import { reserveFile, reserveFiles, settleFile, settleFiles } from '../file-statements.ts';
import type { Granted, ReservedFile, SettledFile } from '../file-statements.ts';
import { allRead, Gathered } from '../gathered.ts';

/** Up to this many lanes stay while idle: creating one for each upload is wasted work, and the map would hold on to it (see `InFlight`). */
const mostLanes = 1000;

/**
 * Runs the statements with which every upload changes its tenant's usage: one at a time per tenant, combining those that arrive while one
 * runs. In the database they would wait for each other anyway, each on a connection that other tenants need.
 */
export class TenantTurns {
  readonly #sql: Sql;
  readonly #lanes = new Map<string, Lane>();

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** See `reserveFile`. */
  reserve(file: ReservedFile): Promise<Granted | undefined> {
    return this.#in(file.tenant, (lane) => lane.reserving, file);
  }

  /** See `settleFile`. @param tenantUuid null for a file without a tenant, whose row nobody else waits for */
  async settle(tenantUuid: string | null, file: SettledFile): Promise<FileRow | undefined> {
    if (tenantUuid !== null) return this.#in(canonicalTenantUuid(tenantUuid), (lane) => lane.settling, file);
    const [row] = await settleFile(this.#sql, file);
    return row;
  }

  #in<P, R>(tenant: string, of: (lane: Lane) => Gathered<P, R>, parameters: P): Promise<R> {
    let lane = this.#lanes.get(tenant);
    if (lane === undefined) {
      lane = { reserving: reserving(this.#sql), settling: settling(this.#sql), isRunning: false };
      this.#lanes.set(tenant, lane);
    }
    const done = of(lane).add(parameters);
    if (!lane.isRunning) void this.#run(tenant, lane);
    return done;
  }

  async #run(tenant: string, lane: Lane): Promise<void> {
    lane.isRunning = true;
    while (lane.settling.isWaiting || lane.reserving.isWaiting) {
      await allRead();
      await lane.settling.take();
      await lane.reserving.take();
    }
    lane.isRunning = false;
    if (this.#lanes.size > mostLanes) this.#lanes.delete(tenant);
  }
}

interface Lane {
  readonly reserving: Gathered<ReservedFile, Granted | undefined>;
  readonly settling: Gathered<SettledFile, FileRow | undefined>;
  isRunning: boolean;
}

function reserving(sql: Sql): Lane['reserving'] {
  return new Gathered({
    one: async (file) => {
      const [granted] = await reserveFile(sql, file);
      return granted;
    },
    async many(files) {
      // All of them or none: when too little is left for all, each file has to ask for its own share.
      const asked = files.reduce((sum, file) => sum + BigInt(file.asked), 0n);
      const [granted] = await reserveFiles(sql, { tenant: files[0]!.tenant, asked: String(asked), files: JSON.stringify(files) });
      return granted && files.map((file) => ({ granted_bytes: String(file.asked), limited: granted.limited }));
    },
  });
}

function settling(sql: Sql): Lane['settling'] {
  return new Gathered({
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
