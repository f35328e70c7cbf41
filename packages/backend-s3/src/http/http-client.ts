import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';

import { onAbort } from '@coffer/storage-core';

import type { Connection } from './connection.ts';
import { exchange, openExchange } from './exchange.ts';
import type { Answer, ExchangeRequest, OpenAnswer } from './exchange.ts';
import { requestFor } from './node-http.ts';
import type { HttpRequest } from './request.ts';
import { timeoutError } from './socket-errors.ts';

export interface StreamRequest extends HttpRequest {
  readonly body: Readable;
}

/** Sends requests over sockets that the agent keeps. They resolve with an answer, or its head, whatever its status. */
export class Http {
  readonly #agent: Connection['agent'];
  readonly #wires: Connection['wires'];
  readonly #rawSockets: Connection['rawSockets'];
  readonly #request: ReturnType<typeof requestFor>;
  readonly #timeout: number;

  /** @param timeout seconds without progress while connecting and until an answer; the agent has the same */
  constructor({ agent, isTls, wires, rawSockets }: Pick<Connection, 'agent' | 'isTls' | 'wires' | 'rawSockets'>, timeout: number) {
    this.#agent = agent;
    this.#wires = wires;
    this.#rawSockets = rawSockets;
    this.#request = requestFor(isTls);
    this.#timeout = timeout * 1000;
  }

  /** Closes unused sockets. */
  closeKept(): void {
    this.#rawSockets.closeKept();
    this.#wires.giveBack();
    for (const sockets of Object.values(this.#agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
  }

  /** A request whose body, if any, is in memory. Resolves with the whole answer. */
  exchange(request: ExchangeRequest, signal: AbortSignal | undefined): Promise<Answer> {
    this.#rawSockets.giveWay();
    return exchange(request, { agent: this.#agent, wires: this.#wires, timeout: this.#timeout, signal });
  }

  /** A request whose body, if any, is in memory. The body of the answer is a stream. */
  open(request: ExchangeRequest, signal: AbortSignal | undefined): Promise<OpenAnswer> {
    this.#rawSockets.giveWay();
    return openExchange(request, { agent: this.#agent, wires: this.#wires, timeout: this.#timeout, signal });
  }

  /** A request whose body is a stream. The caller reads the answer. */
  send(request: StreamRequest, signal: AbortSignal | undefined): Promise<IncomingMessage> {
    const { method, hostname: host, port, path, headers, body } = request;
    this.#rawSockets.giveWay();
    this.#wires.giveBack();
    return new Promise((resolve, reject) => {
      const sent = this.#request({ agent: this.#agent, timeout: this.#timeout, method, host, port, path, headers });
      let head: IncomingMessage | undefined;
      // A request that is still waiting for a socket would report its end only when it gets one.
      const end = (reason: Error): void => {
        settle();
        reject(reason);
        sent.destroy(reason);
      };
      const waiting = setTimeout(() => end(timeoutError(null)), this.#timeout);
      const timeOut = (): void => void (head ?? sent).destroy(timeoutError(sent.socket));
      const settle = (): void => {
        clearTimeout(waiting);
        stopWaiting();
      };
      const stopWaiting = onAbort(signal, () => end(signal?.reason as Error));
      sent.once('timeout', timeOut);
      sent.once('socket', () => clearTimeout(waiting));
      sent.on('error', (error) => {
        settle();
        reject(error);
      });
      sent.once('response', (answer: IncomingMessage) => {
        settle();
        head = answer;
        // A server that refuses a body need not wait for the rest of it.
        if (answer.statusCode! >= 300) body.unpipe(sent);
        // Whatever the answer, the connection is of no more use if some of the body is still to be sent. node:http would hold it for ever.
        answer.once('end', () => {
          if (!sent.writableFinished) sent.destroy();
        });
        resolve(answer);
      });
      body.once('error', (error) => sent.destroy(error));
      body.pipe(sent);
    });
  }
}
