import type { Sql } from 'postgres';

import { whileWatched } from './answer-watch.ts';

/** Milliseconds between two attempts. */
const pause = 1000;

/**
 * Looks for a connection that accepts writes while those of a pool do not. A server that has become read-only keeps its connections, even
 * if the role may write again, its name leads elsewhere by now, or another of several hosts was promoted.
 */
export class WritableSearch {
  readonly #connect: () => Sql;
  readonly #onFound: () => void;
  #client: Sql | undefined;
  #begunAt = -Infinity;
  #isClosed = false;

  /** @param connect returns a client with one connection, like those of the pool */
  constructor(connect: () => Sql, onFound: () => void) {
    this.#connect = connect;
    this.#onFound = onFound;
  }

  /** Makes one attempt, unless the last one has only just begun. */
  begin(): void {
    const now = performance.now();
    if (this.#isClosed || this.#client !== undefined || now - this.#begunAt < pause) return;
    this.#begunAt = now;
    void this.#attempt();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#client?.end({ timeout: 0 });
  }

  async #attempt(): Promise<void> {
    const client = (this.#client = this.#connect());
    const isReadOnly = await isReadOnlyConnection(client).catch(() => true);
    if (!isReadOnly && !this.#isClosed) this.#onFound();
    await client.end({ timeout: 0 });
    this.#client = undefined;
  }
}

export async function isReadOnlyConnection(sql: Sql): Promise<boolean> {
  // With a parameter: after a statement without any, postgres.js sends others before it is answered, even with `prepare=false`, and
  // PgBouncer 1.18 may have given the server to another client by the time they arrive.
  const query = sql<{ setting: string }[]>`select current_setting(${'transaction_read_only'}) as setting`;
  const [row] = await whileWatched(sql, query);
  return row?.setting === 'on';
}
