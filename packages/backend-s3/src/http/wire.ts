import type { Socket } from 'node:net';

import type { Pool } from './pool.ts';

/** A socket as the agent leaves it, to find out whether it may be kept once it is free. */
interface PooledSocket extends Socket {
  _httpMessage?: unknown;
}

/** What the agent finds on a returned socket: the wire keeps nothing of an exchange that is over. */
const idleMessage = { shouldKeepAlive: true, res: undefined };

/** Makes exchanges on a wire. */
export interface WireUser {
  read(chunk: Buffer): void;
  fail(error: unknown): void;
  /** No more bytes follow. */
  end(): void;
  timeOut(): void;
}

/**
 * A socket of the agent for consecutive exchanges. Its listeners stay on the socket meanwhile: adding them and going through the agent for
 * each exchange would cost as much as signing the request.
 */
export class Wire {
  readonly socket: Socket;
  /** Host and port that it leads to. */
  readonly origin: string;
  #user: WireUser | undefined;
  #usedAt = 0;

  /** @param socket which the agent has just handed out */
  constructor(socket: Socket, origin: string) {
    this.socket = socket;
    this.origin = origin;
    socket.on('data', this.#read);
    socket.on('error', this.#fail);
    socket.on('end', this.#end);
    socket.on('close', this.#end);
    socket.on('timeout', this.#timeOut);
  }

  /** @param user also the agent's view of the request: it reads from it when the socket is returned */
  use(user: WireUser): void {
    this.#user = user;
    this.#usedAt = performance.now();
    (this.socket as PooledSocket)._httpMessage = user;
  }

  /** Errors of a closed socket may still follow, and concern nobody. */
  detach(): void {
    this.#user = undefined;
  }

  /** Idles until it is used again or returned. It may be closed meanwhile. */
  park(): void {
    (this.socket as PooledSocket)._httpMessage = idleMessage;
    this.socket.unref(); // a kept socket does not keep the process alive
  }

  /** Returns the socket to the agent, for anybody. One that was closed it finds by itself. */
  giveBack(): void {
    const { socket } = this;
    if (socket.destroyed) return; // its error may still follow, and needs a listener
    socket.off('data', this.#read);
    socket.off('error', this.#fail);
    socket.off('end', this.#end);
    socket.off('close', this.#end);
    socket.off('timeout', this.#timeOut);
    socket.emit('free');
  }

  readonly #read = (chunk: Buffer): void => {
    if (this.#user === undefined) this.socket.destroy(); // nobody asked
    else this.#user.read(chunk);
  };

  readonly #fail = (error: Error): void => this.#user?.fail(error);

  readonly #end = (): void => {
    if (this.#user !== undefined) return this.#user.end();
    this.socket.destroy();
  };

  readonly #timeOut = (): void => {
    const { socket } = this;
    if (this.#user === undefined) return void socket.destroy();
    // When several timers are due together, Node also fires that of a socket which another timer's callback has just put to use.
    const { timeout = 0 } = socket;
    if (performance.now() - this.#usedAt < timeout / 2) socket.setTimeout(timeout);
    else this.#user.timeOut();
  };
}

/**
 * Wires between two exchanges. To the agent they are still in use, so they count. They are returned before anybody else asks the agent for
 * a socket.
 */
export class KeptWires {
  readonly #agent: Pool;
  readonly #maxSockets: number;
  /** The most recent last. Some may be closed; those are dropped when they are encountered. */
  readonly #kept: Wire[] = [];

  constructor(agent: Pool) {
    this.#agent = agent;
    this.#maxSockets = agent.maxSockets;
  }

  /** A kept wire to `origin`. */
  take(origin: string): Wire | undefined {
    for (let wire = this.#kept.pop(); wire !== undefined; wire = this.#kept.pop()) {
      if (wire.socket.destroyed) continue;
      wire.socket.ref();
      if (wire.origin === origin) return wire;
      wire.giveBack();
    }
    return undefined;
  }

  /** Call when an exchange has ended well. The wire goes to the next exchange, or to whoever waits for the agent. */
  keep(wire: Wire): void {
    // Fewer than at first: some of its sockets are reserved for pulls.
    if (this.#agent.hasWaiters || this.#agent.maxSockets < this.#maxSockets) return wire.giveBack();
    wire.park();
    this.#kept.push(wire);
  }

  /** Call before somebody else wants a socket of the agent. */
  giveBack(): void {
    for (let wire = this.#kept.pop(); wire !== undefined; wire = this.#kept.pop()) wire.giveBack();
  }
}
