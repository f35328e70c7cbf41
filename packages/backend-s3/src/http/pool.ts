import { AsyncResource } from 'node:async_hooks';
import { EventEmitter } from 'node:events';
import type { Agent, AgentOptions } from 'node:http';
import type { AgentOptions as HttpsAgentOptions } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import { ForeignAnswerError } from './foreign-answer.ts';
import { watchWrites } from './watched-writes.ts';

type PoolOptions = AgentOptions & HttpsAgentOptions;

/**
 * An agent whose `maxSockets` limits the sockets to all hosts together. Otherwise, if each bucket is a host, each would have that many. Emits
 * `wait` when a request has to wait for one.
 */
export type Pool = Agent & {
  readonly hasWaiters: boolean;
  /** Requests to which the agent has promised the places of sockets to their host that are closing. */
  readonly promised: number;
  /** What http.request calls on any agent. */
  addRequest(request: SocketRequest, target: Target): void;
  /** Call after raising `maxSockets`: there may be room for waiting requests. */
  serve(): void;
};

interface Target {
  readonly host?: string;
  readonly port?: number | string;
  readonly timeout?: number;
}

/** A request for a socket. If it is over, it needs none; requests of node:http report their own end when they get one. */
interface SocketRequest {
  readonly isFinished?: boolean;
  /** Deno's own name. */
  _retrying?: boolean;
}

/** The method of any agent that node:http calls for each request. */
type AddRequest = (request: SocketRequest, options: Target) => void;

interface Waiter {
  readonly request: SocketRequest;
  readonly target: Target;
  readonly start: () => void;
}

/**
 * Requests wait in one line, whatever their host, and the first one gets the next place: a socket kept to its host, or else the place of a
 * socket kept to another host. Kept sockets count.
 *
 * @param Base the agent of node:http or of node:https
 */
export function poolOver(Base: new (options: PoolOptions) => Agent, options: PoolOptions): Pool {
  const { addRequest } = Base.prototype as { readonly addRequest: AddRequest };
  return new (class extends Base implements Pool {
    readonly #queue: Waiter[] = [];

    constructor() {
      super(options);
      // The agent's own handling of a free socket comes first.
      this.on('free', () => this.serve());
    }

    get hasWaiters(): boolean {
      return this.#queue.length > 0 || this.promised > 0;
    }

    get promised(): number {
      let waiting = 0;
      for (const name in this.requests) waiting += this.requests[name]?.length ?? 0;
      return waiting;
    }

    serve(): void {
      for (let first = this.#first(); first !== undefined && this.#makeRoom(first.target); first = this.#first()) {
        this.#queue.shift();
        first.start();
      }
    }

    #first(): Waiter | undefined {
      while (this.#queue[0]?.request.isFinished === true) this.#queue.shift();
      return this.#queue[0];
    }

    addRequest(request: SocketRequest, target: Target): void {
      if (request instanceof EventEmitter) request.once('upgrade', refuseUpgrade);
      // Otherwise, when its kept socket is closed, Deno would repeat a request by itself, unnoticed by callers who gave it up or count
      // attempts.
      if (request.isFinished === undefined) request._retrying = true;
      const start = (): void => addRequest.call(this, request, target);
      if (this.#queue.length === 0 && this.#makeRoom(target)) start();
      else {
        this.#queue.push({ request, target, start: AsyncResource.bind(start) });
        this.emit('wait');
      }
    }

    override createConnection(...args: Parameters<Agent['createConnection']>): Duplex | null | undefined {
      const socket = super.createConnection(...args)?.once('close', () => this.serve());
      return socket && watchWrites(socket);
    }

    /** @returns whether there is a place; a socket kept to another host is closed for it */
    #makeRoom({ host, port }: Target): boolean {
      if (count(this.sockets) + count(this.freeSockets) + this.promised < this.maxSockets) return true;
      let other: Socket | undefined;
      for (const [name, sockets = []] of Object.entries(this.freeSockets)) {
        const kept = sockets.find(({ destroyed }) => !destroyed);
        if (kept !== undefined && name.startsWith(`${host}:${port}:`)) return true;
        other ??= kept;
      }
      other?.destroy();
      return other !== undefined;
    }
  })();
}

/** If an answer is an unrequested 101, node:http closes the socket and reports nothing. */
function refuseUpgrade(this: EventEmitter, _answer: unknown, socket: Socket): void {
  socket.destroy();
  this.emit('error', new ForeignAnswerError('The answer, 101, is another protocol.'));
}

function count(sockets: NodeJS.ReadOnlyDict<readonly Socket[]>): number {
  let open = 0;
  for (const name in sockets) for (const socket of sockets[name] ?? []) if (!socket.destroyed) open++;
  return open;
}
