import type { Socket } from 'node:net';

import type { Pool } from './pool.ts';

/** As the agent leaves them: to find out, once a socket is free, whether it may be kept. */
interface PooledSocket extends Socket {
  _httpMessage?: unknown;
}

/** What the agent finds on a socket that is given back: of an exchange that is over, the wire keeps nothing. */
const over = { shouldKeepAlive: true, res: undefined };

/** Whoever makes an exchange on a wire. */
export interface WireUser {
  read(chunk: Buffer): void;
  fail(error: unknown): void;
  /** No byte follows. */
  end(): void;
  timeOut(): void;
}

/**
 * A socket of the agent on which exchanges are made, one after the other. What listens to the socket stays there meanwhile: with
 * each exchange anew, that and the way through the agent would cost as much as signing the request does.
 */
export class Wire {
  readonly socket: Socket;
  /** Host and port that it leads to. */
  readonly place: string;
  #user: WireUser | undefined;
  #usedAt = 0;

  /** @param socket that the agent has just given */
  constructor(socket: Socket, place: string) {
    this.socket = socket;
    this.place = place;
    socket.on('data', this.#read);
    socket.on('error', this.#fail);
    socket.on('end', this.#end);
    socket.on('close', this.#end);
    socket.on('timeout', this.#timeOut);
  }

  /** @param user as the agent knows it: what it reads of a request, it reads there when the socket is given back */
  use(user: WireUser): void {
    this.#user = user;
    this.#usedAt = Date.now();
    (this.socket as PooledSocket)._httpMessage = user;
  }

  /** Of a socket that is closed, errors may follow; they are nobody's. */
  leave(): void {
    this.#user = undefined;
  }

  /** Until it is used again, or given back. It may be closed meanwhile. */
  rest(): void {
    (this.socket as PooledSocket)._httpMessage = over;
    this.socket.unref(); // one that is kept holds no process
  }

  /** Back to the agent, for anybody. */
  giveBack(): void {
    const { socket } = this;
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
    // Of timers that are due together, Node fires also the one of a socket that the callback of another one has just put to use.
    const { timeout = 0 } = socket;
    if (Date.now() - this.#usedAt < timeout / 2) socket.setTimeout(timeout);
    else this.#user.timeOut();
  };
}

/**
 * Wires between two exchanges. To the agent they are still in use, so that they count; before anybody else asks it for a socket, they
 * are given back.
 */
export class KeptWires {
  readonly #agent: Pool;
  readonly #most: number;
  /** The latest last. Some may be closed: they go when they are come upon. */
  readonly #kept: Wire[] = [];

  constructor(agent: Pool) {
    this.#agent = agent;
    this.#most = agent.maxSockets;
  }

  /** One that leads there. */
  take(place: string): Wire | undefined {
    for (let wire = this.#kept.pop(); wire !== undefined; wire = this.#kept.pop()) {
      if (wire.socket.destroyed) continue;
      wire.socket.ref();
      if (wire.place === place) return wire;
      wire.giveBack();
    }
    return undefined;
  }

  /** Once an exchange has ended well: the next one has it, or whoever waits for the agent. */
  keep(wire: Wire): void {
    // Fewer than at first: some of its places are lent.
    if (this.#agent.isWaitedFor || this.#agent.maxSockets < this.#most) return wire.giveBack();
    wire.rest();
    this.#kept.push(wire);
  }

  /** Before somebody else wants a socket of the agent. */
  giveBack(): void {
    for (let wire = this.#kept.pop(); wire !== undefined; wire = this.#kept.pop()) if (!wire.socket.destroyed) wire.giveBack();
  }
}
