import { AsyncResource } from 'node:async_hooks';
import { EventEmitter } from 'node:events';
import type { Agent, AgentOptions } from 'node:http';
import type { AgentOptions as HttpsAgentOptions } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import { ForeignAnswerError } from './foreign-answer.ts';
import { watchWrites } from './watched-writes.ts';

type PoolOptions = AgentOptions & HttpsAgentOptions;

/** An agent whose `maxSockets` bounds those of all hosts together: where buckets are hosts, each would have as many else. */
export type Pool = Agent & {
  /** Whether a request waits for a socket. */
  readonly isWaitedFor: boolean;
  /** What http.request calls on any agent. */
  addRequest(request: Asking, target: Target): void;
  /** To be called once `maxSockets` has been raised: there may be room for those who wait. */
  serve(): void;
};

interface Target {
  readonly host?: string;
  readonly port?: number | string;
  readonly timeout?: number;
}

/** What asks for a socket. One that is over need not be given any; those of node:http tell of their end when they are. */
interface Asking {
  readonly isOver?: boolean;
  /** Deno's own name. */
  _retrying?: boolean;
}

/** Any agent has it; node:http calls it for each request. */
type AddRequest = (request: Asking, options: Target) => void;

interface Waiting {
  readonly request: Asking;
  readonly target: Target;
  readonly ask: () => void;
}

/**
 * Requests wait in one line, whatever their host, and the first one gets the next place: a socket that is kept to its host, or else the
 * place of one that is kept to another host. Sockets that are kept count.
 *
 * @param Base the agent of node:http or of node:https
 */
export function poolOver(Base: new (options: PoolOptions) => Agent, options: PoolOptions): Pool {
  const { addRequest } = Base.prototype as { readonly addRequest: AddRequest };
  return new (class extends Base implements Pool {
    readonly #line: Waiting[] = [];

    constructor() {
      super(options);
      // What the agent itself does with a socket that is free comes first.
      this.on('free', () => this.serve());
    }

    get isWaitedFor(): boolean {
      return this.#line.length > 0 || this.#promised > 0;
    }

    /** Requests that the agent has taken for the places of sockets to their host that are closing. */
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
      // Deno would make one again by itself, behind the back of who gave it up or counts attempts, when its kept socket is closed.
      if (request.isOver === undefined) request._retrying = true;
      const ask = (): void => addRequest.call(this, request, target);
      if (this.#line.length === 0 && this.#makesRoom(target)) ask();
      else this.#line.push({ request, target, ask: AsyncResource.bind(ask) });
    }

    override createConnection(...given: Parameters<Agent['createConnection']>): Duplex | null | undefined {
      const socket = super.createConnection(...given)?.once('close', () => this.serve());
      return socket && watchWrites(socket);
    }

    /** @returns whether there is a place; one that is kept to another host is given up for it */
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

/** Of an answer of 101 that nobody has asked for, node:http closes the socket, and tells nobody. */
function refuseUpgrade(this: EventEmitter, _answer: unknown, socket: Socket): void {
  socket.destroy();
  this.emit('error', new ForeignAnswerError('The answer, 101, is another protocol.'));
}

function count(sockets: NodeJS.ReadOnlyDict<readonly Socket[]>): number {
  let open = 0;
  for (const name in sockets) for (const socket of sockets[name] ?? []) if (!socket.destroyed) open++;
  return open;
}
