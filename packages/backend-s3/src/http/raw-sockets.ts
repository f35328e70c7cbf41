import type { Socket } from 'node:net';

import type { Settings } from '../settings.ts';
import { isTunnelled } from './node-http.ts';
import type { Pool } from './pool.ts';
import { RawSocket } from './raw-socket.ts';
import type { Reception } from './raw-socket.ts';
import { requestHead } from './request.ts';
import type { HttpRequest } from './request.ts';
import type { KeptWires } from './wire.ts';

/** The sockets of pulls. They count towards the limit of the agent, which has one fewer for each that is open or leased. */
export class RawSockets {
  readonly #agent: Pool;
  readonly #wires: KeptWires;
  readonly #target: { readonly isTls: boolean; readonly verifySsl: boolean; readonly timeout: number };
  readonly #maxSockets: number;
  readonly #open = new Map<RawSocket, string>();
  /** Open sockets that wait for their next exchange, the most recent last. Some may be closing. */
  readonly #idle: RawSocket[] = [];
  #leases = 0;

  constructor(
    { timeout, verifySsl }: Pick<Settings, 'timeout' | 'verifySsl'>,
    { agent, isTls, wires }: { readonly agent: Pool; readonly isTls: boolean; readonly wires: KeptWires },
  ) {
    this.#agent = agent;
    this.#wires = wires;
    // Only the agent knows the way through a proxy.
    this.#maxSockets = isTunnelled(isTls) ? 0 : agent.maxSockets;
    this.#target = { isTls, verifySsl, timeout: timeout * 1000 };
  }

  /**
   * Reserves a socket, or the place for one, for consecutive exchanges. @returns a function that ends the lease; undefined if there is no
   * place
   */
  lease(): (() => void) | undefined {
    this.#wires.giveBack();
    const leases = this.#leases + 1;
    const taken = leases + open(this.#agent.sockets).length + this.#agent.promised;
    if (this.#maxSockets <= 1 || taken > this.#maxSockets) return undefined;
    this.#leases = leases;
    this.#resizeAgent();
    return () => {
      this.#leases--;
      this.#resizeAgent();
      if (this.#agent.hasWaiters) setImmediate(() => this.#giveWayToWaiter());
    };
  }

  /** Call before a request of the agent: a merely kept socket must not make it wait. */
  giveWay(): void {
    if (this.#open.size <= this.#leases || open(this.#agent.sockets).length < this.#agent.maxSockets) return;
    const longestKept = this.#idle.shift();
    if (longestKept !== undefined) this.#drop(longestKept);
  }

  /** Call after a lease has ended: downloads that wait for a place of their own take over its socket before that. */
  #giveWayToWaiter(): void {
    if (this.#agent.hasWaiters) this.giveWay(); // others that ended in the same turn may have given way already
  }

  /** Requires a lease. */
  async exchange(request: HttpRequest, reception: Reception, signal: AbortSignal | undefined): Promise<void> {
    const head = requestHead(request);
    const socket = this.#socketTo(request.hostname, request.port);
    try {
      await socket.exchange(head, reception, signal);
    } finally {
      if (socket.isFree) this.#idle.push(socket);
    }
  }

  /** Closes sockets that wait for their next exchange. */
  closeKept(): void {
    for (const socket of this.#idle.splice(0)) this.#drop(socket);
  }

  close(): void {
    for (const socket of this.#open.keys()) socket.close();
  }

  #socketTo(hostname: string, port: number): RawSocket {
    const origin = `${hostname}:${port}`;
    for (let kept = this.#idle.pop(); kept !== undefined; kept = this.#idle.pop()) {
      if (!kept.isFree) continue;
      if (this.#open.get(kept) === origin) return kept;
      this.#drop(kept); // it leads to another place
    }
    const socket = new RawSocket({ ...this.#target, hostname, port }, () => {
      this.#open.delete(socket);
      const index = this.#idle.indexOf(socket);
      if (index >= 0) this.#idle.splice(index, 1);
      this.#resizeAgent();
    });
    this.#open.set(socket, origin);
    return socket;
  }

  #drop(socket: RawSocket): void {
    socket.close();
    this.#open.delete(socket);
    this.#resizeAgent();
  }

  #resizeAgent(): void {
    const agent = this.#agent;
    const maxSockets = Math.max(1, this.#maxSockets - Math.max(this.#open.size, this.#leases));
    if (maxSockets === agent.maxSockets) return;
    agent.maxSockets = maxSockets;
    const idle = open(agent.freeSockets);
    const tooMany = open(agent.sockets).length + idle.length - agent.maxSockets;
    for (const socket of idle.slice(0, Math.max(0, tooMany))) socket.destroy();
    agent.serve();
  }
}

function open(sockets: NodeJS.ReadOnlyDict<readonly Socket[]>): readonly Socket[] {
  return Object.values(sockets).flatMap((some = []) => some.filter((socket) => !socket.destroyed));
}
