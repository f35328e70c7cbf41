import { connect } from 'node:net';
import type { Socket } from 'node:net';

import { InFlight } from '@coffer/storage-core';
import type { Sql, TransactionSql } from 'postgres';

/** Where a connection goes, as postgres.js has read it. */
interface Target {
  /** Of a unix socket. */
  readonly path: string | false;
  readonly host: readonly string[];
  readonly port: readonly number[];
}

interface Seen {
  /** From the server: what goes to it may be no more than queued. */
  bytes: number;
  /** When they last became more. */
  since: number;
}

const watches = new WeakMap<object, AnswerWatch>();

/**
 * Ends connections on which no answer comes. A server that is gone without a word, or a network that swallows what is sent,
 * leaves a statement waiting until TCP gives up, a quarter of an hour later, and everybody who waits for its connection.
 */
export class AnswerWatch {
  readonly #limit: number;
  readonly #sockets = new Map<Socket, Seen>();
  /** When each statement under way began. */
  readonly #running = new InFlight<number>();
  #timer: NodeJS.Timeout | undefined;
  #lookedAt = 0;

  /** @param seconds in which something has to come from the server while a statement runs */
  constructor(seconds: number) {
    this.#limit = seconds * 1000;
  }

  /** From now on, the statements of this client are watched, which has its sockets from `open`. */
  follow(sql: Sql): Sql {
    watches.set(sql, this);
    return sql;
  }

  /** A socket that connects: postgres.js waits for it as for one of its own. */
  readonly open = ({ path, host: [host], port: [port] }: Target): Socket => {
    const socket = path === false ? connect(port!, host) : connect(path);
    // What follows a statement does not wait until the server tells that this one has arrived.
    if (path === false) socket.setNoDelay(true);
    // As postgres.js sets them, for its messages and the name of the certificate. Of an address it tells TLS nothing, which then
    // asks the socket, and without that would look for `localhost` in the certificate.
    Object.assign(socket, { host, port, ...(path === false && { _host: host }) });
    // Bun tells that nobody listens at a unix socket just before postgres.js listens to that.
    socket.once('error', (error) => {
      if (socket.listenerCount('error') === 0) queueMicrotask(() => socket.emit('error', error));
    });
    this.#sockets.set(socket, { bytes: 0, since: performance.now() });
    if (this.#timer === undefined) {
      this.#lookedAt = performance.now();
      this.#timer = setInterval(() => this.#look(), this.#limit / 10).unref();
    }
    return socket;
  };

  async during<T>(work: PromiseLike<T>): Promise<T> {
    const over = this.#running.add(performance.now());
    try {
      return await work;
    } finally {
      over();
    }
  }

  #look(): void {
    const now = performance.now();
    // This process itself was held up: what has come meanwhile is not read yet.
    const isLate = now - this.#lookedAt > this.#limit / 2;
    this.#lookedAt = now;
    for (const [socket, seen] of this.#sockets) {
      const bytes = socket.bytesRead;
      if (socket.destroyed) this.#sockets.delete(socket);
      else if (isLate || bytes !== seen.bytes) Object.assign(seen, { bytes, since: now });
    }
    if (this.#sockets.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    if (!this.#running.values().some((since) => now - since >= this.#limit)) return;
    // Which of them it waits for only postgres.js knows; those that lie idle are opened again when they are needed.
    for (const [socket, { since }] of this.#sockets) {
      if (now - since >= this.#limit) socket.destroy(Object.assign(new Error('The database does not answer.'), { code: 'ETIMEDOUT' }));
    }
  }
}

/** Watches what a statement of `sql` waits for, or a transaction as a whole. What may take long, such as migrations, is not watched. */
export function whileWatched<T>(sql: Sql | TransactionSql, work: PromiseLike<T>): PromiseLike<T> {
  return watches.get(sql)?.during(work) ?? work;
}
