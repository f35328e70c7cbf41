import { AsyncResource } from 'node:async_hooks';
import { EventEmitter } from 'node:events';
import type { Agent, AgentOptions } from 'node:http';
import type { AgentOptions as HttpsAgentOptions } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import { ForeignAnswerError } from './foreign-answer.ts';
import { watchWrites } from './watched-writes.ts';

type PoolOptions = AgentOptions & HttpsAgentOptions;

/** An agent whose `maxSockets` limits the sockets to all hosts together. Otherwise, if each bucket is a host, each would have that many. */
export type Pool = Agent & {
  readonly isWaitedFor: boolean;
  /** What http.request calls on any agent. */
  addRequest(request: Asking, target: Target): void;
  /** Call after raising `maxSockets`: there may be room for waiting requests. */
  serve(): void;
};

interface Target {
  readonly host?: string;
  readonly port?: number | string;
  readonly timeout?: number;
}

/** A request for a socket. If it is over, it needs none; requests of node:http report their own end when they get one. */
interface Asking {
  readonly isOver?: boolean;
  /** Deno's own name. */
  _retrying?: boolean;
}

/** The method of any agent that node:http calls for each request. */
type AddRequest = (request: Asking, options: Target) => void;

interface Waiting {
  readonly request: Asking;
  readonly target: Target;
  readonly ask: () => void;
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
    readonly #line: Waiting[] = [];

    constructor() {
      super(options);
      // The agent's own handling of a free socket comes first.
      this.on('free', () => this.serve());
    }

    get isWaitedFor(): boolean {
      return this.#line.length > 0 || this.#promised > 0;
    }

    /** Requests to which the agent has promised the places of sockets to their host that are closing. */
    get #promised(): number {
      let waiting = 0;
      for (const name in this.requests) waiting += this.requests[name]?.length ?? 0;
      return waiting;
    }

    serve(): void {
      for (let first = this.#first(); first !== undefined && this.#makesRoom(first.target); first = this.#first()) {
        this.#line.shift();
        first.ask();
      }
    }

    #first(): Waiting | undefined {
      while (this.#line[0]?.request.isOver === true) this.#line.shift();
      return this.#line[0];
    }

    addRequest(request: Asking, target: Target): void {
      if (request instanceof EventEmitter) request.once('upgrade', refuseUpgrade);
      // Otherwise, when its kept socket is closed, Deno would repeat a request by itself, unnoticed by callers who gave it up or count
      // attempts.
      if (request.isOver === undefined) request._retrying = true;
      const ask = (): void => addRequest.call(this, request, target);
      if (this.#line.length === 0 && this.#makesRoom(target)) ask();
      else this.#line.push({ request, target, ask: AsyncResource.bind(ask) });
    }

    override createConnection(...given: Parameters<Agent['createConnection']>): Duplex | null | undefined {
      const socket = super.createConnection(...given)?.once('close', () => this.serve());
      return socket && watchWrites(socket);
    }

    /** @returns whether there is a place; a socket kept to another host is closed for it */
    #makesRoom({ host, port }: Target): boolean {
      if (count(this.sockets) + count(this.freeSockets) + this.#promised < this.maxSockets) return true;
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
