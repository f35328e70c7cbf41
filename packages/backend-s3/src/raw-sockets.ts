import type { Socket } from 'node:net';

import type { Connection } from './connection.ts';
import type { HttpRequest } from './lean-http.ts';
import type { Settings } from './options.ts';
import { RawSocket } from './raw-socket.ts';
import type { Reception } from './raw-socket.ts';
import { requestHead } from './request-head.ts';

/** The sockets of pulls. They count among those that the agent may have: while one is open or set aside, the agent has one less. */
export class RawSockets {
  readonly #agent: Connection['agent'];
  readonly #target: { readonly isTls: boolean; readonly verifySsl: boolean; readonly timeout: number };
  readonly #most: number;
  readonly #open = new Map<RawSocket, string>();
  #leases = 0;

  constructor({ timeout, verifySsl }: Pick<Settings, 'timeout' | 'verifySsl'>, { agent, isTls }: Pick<Connection, 'agent' | 'isTls'>) {
    this.#agent = agent;
    this.#most = agent.maxSockets;
    this.#target = { isTls, verifySsl, timeout: timeout * 1000 };
  }

  /** Sets a socket aside, or the place for one, on which exchanges are made one after the other. Undefined while there is none. */
  lease(): (() => void) | undefined {
    const places = Math.max(this.#open.size, this.#leases + 1);
    if (this.#most <= 1 || places + open(this.#agent.sockets).length > this.#most) return undefined;
    this.#leases++;
    this.#lend();
    return () => {
      this.#leases--;
      this.#lend();
    };
  }

  /** Before a request of the agent: that a socket is kept is no reason to wait. */
  giveWay(): void {
    if (this.#open.size <= this.#leases || open(this.#agent.sockets).length < this.#agent.maxSockets) return;
    for (const socket of this.#open.keys()) if (socket.isFree) return this.#drop(socket);
  }

  /** Needs a lease. */
  exchange(request: HttpRequest, reception: Reception, signal: AbortSignal | undefined): Promise<void> {
    const head = requestHead(request);
    return this.#socketTo(request.hostname, request.port).exchange(head, reception, signal);
  }

  close(): void {
    for (const socket of this.#open.keys()) socket.close();
  }

  #socketTo(hostname: string, port: number): RawSocket {
    const place = `${hostname}:${port}`;
    for (const [socket, to] of this.#open) if (to === place && socket.isFree) return socket;
    for (const socket of this.#open.keys()) if (socket.isFree) this.#drop(socket); // one to another place
    const socket = new RawSocket({ ...this.#target, hostname, port }, () => {
      this.#open.delete(socket);
      this.#lend();
    });
    this.#open.set(socket, place);
    this.#lend();
    return socket;
  }

  #drop(socket: RawSocket): void {
    socket.close();
    this.#open.delete(socket);
    this.#lend();
  }

  #lend(): void {
    const agent = this.#agent;
    agent.maxSockets = Math.max(1, this.#most - Math.max(this.#open.size, this.#leases));
    const idle = open(agent.freeSockets);
    const tooMany = open(agent.sockets).length + idle.length - agent.maxSockets;
    for (const socket of idle.slice(0, Math.max(0, tooMany))) socket.destroy();
  }
}

function open(sockets: NodeJS.ReadOnlyDict<readonly Socket[]>): readonly Socket[] {
  return Object.values(sockets).flatMap((some = []) => some.filter((socket) => !socket.destroyed));
}
