import { AsyncResource } from 'node:async_hooks';
import { connect as connectTcp, isIP } from 'node:net';
import type { OnReadOpts, Socket } from 'node:net';

import { onAbort } from '@coffer/storage-core';
import type { ByteSink } from '@coffer/storage-core';

import { RawAnswer } from './raw-answer.ts';
import type { AnswerHead } from './raw-answer.ts';
import { cutError, failureOnKept, timeoutError } from './socket-errors.ts';
import { watchWrites } from './watched-writes.ts';

/** Where a connection leads. */
interface RawTarget {
  readonly hostname: string;
  readonly port: number;
  readonly isTls: boolean;
  readonly verifySsl: boolean;
  /** Milliseconds within which something has to happen. */
  readonly timeout: number;
}

/** Receives an answer. */
export interface Reception {
  /** Called before any of the body. If it throws, the exchange ends. */
  begin(head: AnswerHead): void;
  readonly sink: ByteSink;
}

/** Received bytes: the first `bytes` of `buffer`. */
interface Arrival {
  readonly buffer: Buffer;
  readonly bytes: number;
}

interface Exchange extends Reception {
  readonly answer: RawAnswer;
  hasBegun: boolean;
  settle(error?: unknown): void;
}

const bufferBytes = 256 * 1024;
/** The most that TLS encrypts at once (RFC 8446, section 5.1). */
const recordBytes = 16 * 1024;
// Milliseconds: long enough for the next range of a download. Others want the socket's place.
const idleTimeout = 1000;

/**
 * A connection whose bytes arrive in reused buffers and go straight to a sink: no stream, no copy, no garbage. Serves one request at a
 * time, without a body.
 */
export class RawSocket {
  readonly #socket: Socket;
  readonly #timeout: number;
  /** With TLS, the buffers that hold nothing; without TLS there is a single buffer. */
  readonly #spare: Buffer[] | undefined;
  /** What arrived while the sink was busy: of records that TLS decrypts together, each one still arrives. */
  readonly #waiting: Arrival[] = [];
  #exchange: Exchange | undefined;
  #isUsed = false;
  #isBusy = false;
  #isSecure: boolean;

  /** @param closed called once, when the socket is of no more use */
  constructor({ hostname: host, port, isTls, verifySsl, timeout }: RawTarget, closed: () => void) {
    this.#timeout = timeout;
    this.#isSecure = !isTls;
    const spare: Buffer[] | undefined = isTls ? [] : undefined;
    this.#spare = spare;
    const onread: OnReadOpts = {
      buffer: spare ? () => spare.pop() ?? Buffer.allocUnsafeSlow(recordBytes) : Buffer.allocUnsafeSlow(bufferBytes),
      callback: (bytes, buffer) => this.#read({ buffer: buffer as Buffer, bytes }),
    };
    const options = { host, port, noDelay: true, onread };
    const socket = isTls
      ? process
          .getBuiltinModule('node:tls')
          .connect({ ...options, rejectUnauthorized: verifySsl, ...(isIP(host) === 0 && { servername: host }) })
      : connectTcp(options);
    this.#socket = watchWrites(socket);
    this.#socket.once('secureConnect', () => (this.#isSecure = true));
    this.#socket.setTimeout(timeout).on('timeout', () => {
      if (this.#isBusy) this.#socket.setTimeout(timeout); // the sink takes its time
      else this.#fail(timeoutError(this.#isSecure ? this.#socket : null));
    });
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.once('end', () => this.#end());
    this.#socket.once('close', () => {
      this.#end();
      closed();
    });
  }

  /** Whether it can serve another exchange. */
  get isFree(): boolean {
    return this.#exchange === undefined && !this.#socket.destroyed;
  }

  /** Sends a request and passes on its answer. Any error closes the connection. */
  async exchange(request: string, reception: Reception, signal: AbortSignal | undefined): Promise<void> {
    const isReused = this.#isUsed;
    const before = this.#socket.bytesRead;
    this.#isUsed = true;
    let stopWaiting = (): void => {};
    this.#socket.ref();
    try {
      await new Promise<void>((resolve, reject) => {
        const settle = (error?: unknown): void => {
          this.#exchange = undefined;
          // Synchronously: the next exchange may begin before anybody else learns of this.
          this.#socket.unref(); // a kept socket does not keep the process alive
          this.#socket.setTimeout(idleTimeout);
          if (error === undefined) resolve();
          // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- whatever the sink or the signal came with
          else reject(error);
        };
        // The socket has the async context of whoever needed it first.
        const sink = AsyncResource.bind(reception.sink);
        this.#exchange = { ...reception, sink, answer: new RawAnswer(), hasBegun: false, settle };
        stopWaiting = onAbort(signal, () => this.#fail(signal?.reason));
        this.#socket.write(request, 'latin1');
        this.#socket.setTimeout(this.#timeout);
      });
    } catch (error) {
      throw isReused ? failureOnKept(error, this.#socket, before) : error;
    } finally {
      stopWaiting();
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  /** @returns whether more may arrive at once */
  #read(arrival: Arrival): boolean {
    const exchange = this.#exchange;
    if (this.#isBusy) {
      this.#waiting.push(arrival);
      return false;
    }
    if (exchange === undefined) {
      this.close(); // nobody asked
      return false;
    }
    try {
      const passing = this.#take(exchange, arrival);
      if (passing === undefined) {
        this.#spare?.push(arrival.buffer);
        if (exchange.answer.isComplete) this.#finish(exchange);
        return true;
      }
      this.#isBusy = true;
      void this.#finishPassing(exchange, passing, arrival);
    } catch (error) {
      this.#fail(error);
    }
    return false;
  }

  /** @returns undefined if the sink has already taken all of it */
  #take(exchange: Exchange, arrival: Arrival): Promise<void> | undefined {
    const { answer } = exchange;
    const pieces = answer.read(arrival.buffer.subarray(0, arrival.bytes));
    if (answer.head !== undefined && !exchange.hasBegun) {
      exchange.hasBegun = true;
      exchange.begin(answer.head);
    }
    return pass(pieces, exchange.sink, () => this.#exchange === exchange);
  }

  async #finishPassing(exchange: Exchange, passing: Promise<void>, arrival: Arrival): Promise<void> {
    try {
      await passing;
      this.#spare?.push(arrival.buffer);
      for (let next = this.#waiting.shift(); next !== undefined && this.#exchange === exchange; next = this.#waiting.shift()) {
        await this.#take(exchange, next);
        this.#spare?.push(next.buffer);
      }
    } catch (error) {
      return this.#fail(error);
    }
    this.#isBusy = false;
    if (this.#exchange !== exchange) return; // it was given up
    if (exchange.answer.isComplete) this.#finish(exchange);
    this.#socket.resume();
    if (this.#socket.readableEnded || this.#socket.destroyed) this.#end();
  }

  #finish(exchange: Exchange): void {
    if (!exchange.answer.keepsAlive) this.close();
    exchange.settle();
  }

  /** No more bytes follow. */
  #end(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return this.close();
    if (this.#isBusy) return; // bytes that have arrived come first
    if (exchange.answer.endsWithConnection) this.#finish(exchange);
    else this.#fail(cutError());
  }

  #fail(error: unknown): void {
    this.close();
    this.#exchange?.settle(error);
  }
}

/** @returns undefined if the sink has already taken all pieces */
function pass(pieces: readonly Buffer[], sink: ByteSink, isWanted: () => boolean): Promise<void> | undefined {
  for (const [index, piece] of pieces.entries()) {
    const taking = sink(piece);
    if (taking !== undefined) return passRest(taking, pieces.slice(index + 1), sink, isWanted);
  }
  return undefined;
}

async function passRest(taking: Promise<void>, rest: readonly Buffer[], sink: ByteSink, isWanted: () => boolean): Promise<void> {
  await taking;
  for (const piece of rest) {
    if (!isWanted()) return;
    await sink(piece);
  }
}
