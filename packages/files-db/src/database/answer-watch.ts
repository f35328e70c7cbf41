import { connect } from 'node:net';
import type { Socket } from 'node:net';

import { InFlight } from '@coffer/storage-core';
import type { Sql, TransactionSql } from 'postgres';

import { isReadOnly } from './error.ts';

/** Where to connect, as postgres.js has parsed it. */
interface Target {
  /** The path of a unix socket. */
  readonly path: string | false;
  readonly host: readonly string[];
  readonly port: readonly number[];
}

interface Seen {
  /** Received from the server. Bytes sent do not count, since they may still be queued. */
  bytes: number;
  /** When `bytes` last grew. */
  since: number;
}

const watches = new WeakMap<object, AnswerWatch>();

/**
 * Ends connections on which no answer arrives. When a server vanishes, or a network drops what is sent, a statement and everybody who needs
 * its connection would wait until TCP gives up, a quarter of an hour later.
 */
export class AnswerWatch {
  readonly #limit: number;
  readonly #sockets = new Map<Socket, Seen>();
  /** When each running statement began. */
  readonly #running = new InFlight<number>();
  readonly #onReadOnly: () => void;
  #timer: NodeJS.Timeout | undefined;
  #lookedAt = 0;

  /**
   * @param seconds within which something has to arrive from the server while a statement runs
   * @param onReadOnly called whenever a statement fails because its connection accepts no writes
   */
  constructor(seconds: number, onReadOnly = (): void => {}) {
    this.#limit = seconds * 1000;
    this.#onReadOnly = onReadOnly;
  }

  /** Watches the statements of this client from now on; the client must get its sockets from `open`. */
  follow(sql: Sql): Sql {
    watches.set(sql, this);
    return sql;
  }

  /** Returns a connecting socket; postgres.js waits for it as for one of its own. */
  readonly open = ({ path, host: [host], port: [port] }: Target): Socket => {
    const socket = path === false ? connect(port!, host) : connect(path);
    // What follows a statement must not wait until the server acknowledges that statement.
    if (path === false) socket.setNoDelay(true);
    // As postgres.js sets them, for its messages and for the name in the certificate. When the host is an address, it passes no name to
    // TLS. TLS then asks the socket, and without `_host` would look for `localhost` in the certificate.
    Object.assign(socket, { host, port, ...(path === false && { _host: host }) });
    // If nobody listens on a unix socket, Bun emits the error just before postgres.js subscribes to it.
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
    const finish = this.#running.add(performance.now());
    try {
      return await work;
    } catch (error) {
      if (isReadOnly(error)) this.#onReadOnly();
      throw error;
    } finally {
      finish();
    }
  }

  #look(): void {
    const now = performance.now();
    // This process was blocked: what has arrived in the meantime has not been read yet.
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
    // Only postgres.js knows which socket a statement waits for. Idle ones are reopened when they are needed.
    for (const [socket, { since }] of this.#sockets) {
      if (now - since >= this.#limit) socket.destroy(Object.assign(new Error('The database does not answer.'), { code: 'ETIMEDOUT' }));
    }
  }
}

/** Watches the wait for a statement of `sql`, or for a transaction as a whole. What may take long, such as migrations, is not watched. */
export function whileWatched<T>(sql: Sql | TransactionSql, work: PromiseLike<T>): PromiseLike<T> {
  return watches.get(sql)?.during(work) ?? work;
}
