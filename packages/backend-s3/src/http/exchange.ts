import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';

import { onAbort, sizeMismatch, wholeBody } from '@coffer/storage-core';

import { longestError, saysEnough } from '../documents/answer-error.ts';
import { AnswerBody } from './answer-body.ts';
import { assertDocumentSize } from './foreign-answer.ts';
import type { Pool } from './pool.ts';
import { RawAnswer } from './raw-answer.ts';
import type { AnswerHead } from './raw-answer.ts';
import { requestHead } from './request.ts';
import type { HttpRequest } from './request.ts';
import { cutError, failureOnKept, timeoutError } from './socket-errors.ts';
import { Wire } from './wire.ts';
import type { KeptWires, WireUser } from './wire.ts';

/** An answer that was read to its end. */
export interface Answer extends AnswerHead {
  readonly document: string;
}

/** An answer whose body, if it is a success, is still to be read. */
export interface OpenAnswer extends Answer {
  /** An AnswerBody while it is still arriving; otherwise all of it is in memory and holds no socket. */
  readonly body: Readable;
}

export interface ExchangeRequest extends HttpRequest {
  readonly body?: Uint8Array | undefined;
  /** Receives the head of a success before its body, perhaps more than once. What it throws ends the request. */
  readonly onHead?: ((head: AnswerHead) => void) | undefined;
  /** Receives the first bytes of the body of a success before the rest has arrived. */
  readonly onBeginning?: ((beginning: Buffer) => void) | undefined;
}

interface Options {
  readonly agent: Pool;
  readonly wires: KeptWires;
  /** Milliseconds without progress while connecting and until an answer. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
}

/** Bodies up to this size (bytes) are collected instead of becoming a stream that holds a socket. */
const maxBuffered = 64 * 1024;
/** Bytes. Up to this total size, the body is copied behind the head: one write costs less than two. */
const maxCopied = 64 * 1024;
/** Holds the copy until the system has taken it, which it mostly does at once. */
let outgoing = Buffer.allocUnsafeSlow(maxCopied);

/**
 * Sends a request whose body is in memory, and reads its short answer. Does what `http.request` would do at half the CPU time, because
 * nothing here is a stream. The sockets are those of the agent, which takes this for a request of node:http. So all requests wait in one
 * line, and a connection left open by one serves the next.
 */
export function exchange(request: ExchangeRequest, options: Options): Promise<Answer> {
  return start(request, { ...options, opens: false });
}

/** Like `exchange`, for an answer whose body may be long: it is read from the socket. */
export function openExchange(request: ExchangeRequest, options: Options): Promise<OpenAnswer> {
  return start(request, { ...options, opens: true }) as Promise<OpenAnswer>;
}

function start(request: ExchangeRequest, options: Options & Pick<Settling, 'opens'>): Promise<Answer> {
  const head = requestHead(request);
  return new Promise((resolve, reject) => {
    const { hostname: host, port } = request;
    const { agent, wires, timeout } = options;
    const pending = new Exchange(request, head, { ...options, resolve, reject });
    const wire = wires.take(`${host}:${port}`);
    if (wire !== undefined) pending.useWire(wire);
    else agent.addRequest(pending, { host, port, timeout });
    pending.begin();
  });
}

interface Settling extends Options {
  /** Whether it resolves with an `OpenAnswer`. */
  readonly opens: boolean;
  readonly resolve: (answer: Answer | OpenAnswer) => void;
  readonly reject: (error: unknown) => void;
}

class Exchange implements WireUser {
  /* Used by the agent. */
  reusedSocket = false;
  shouldKeepAlive = true;
  res: AnswerHead | undefined;
  readonly timeout: number;

  readonly #request: ExchangeRequest;
  readonly #head: string;
  /** Bytes of the body, as the head announces them. */
  readonly #bodySize: number;
  readonly #options: Settling;
  readonly #answer: RawAnswer;
  #wire: Wire | undefined;
  #bytesBefore = 0;
  #chunks: Buffer[] = [];
  #size = 0;
  /** The body of an answer that is opened, and too long to be collected. */
  #body: AnswerBody | undefined;
  #waiting: NodeJS.Timeout | undefined;
  #isSettled = false;
  #stopWaiting = (): void => {};
  /** Nothing more will happen. */
  #isFinished = false;

  constructor(request: ExchangeRequest, head: string, options: Settling) {
    this.#request = request;
    this.#head = head;
    this.#bodySize = request.body?.byteLength ?? 0;
    this.#options = options;
    this.#answer = new RawAnswer({ isHead: request.method === 'HEAD' });
    this.timeout = options.timeout;
  }

  /** The agent asks for the Host header, for TLS. Its own options know the host better. */
  getHeader(): undefined {
    return undefined;
  }

  /** For the pool: a request that was given up while it waited needs no connection. */
  get isFinished(): boolean {
    return this.#isFinished;
  }

  /** Call after the agent has been asked for a socket. */
  begin(): void {
    if (this.#isFinished) return;
    this.#stopWaiting = onAbort(this.#options.signal, this.#abort);
    if (this.#wire === undefined) this.#waiting = setTimeout(() => this.timeOut(), this.timeout);
  }

  /** Called by the agent. */
  onSocket(socket: Socket | null | undefined, error?: Error): void {
    clearTimeout(this.#waiting);
    if (error !== undefined && error !== null) return this.fail(error);
    if (socket === undefined || socket === null) return;
    this.useWire(new Wire(socket, `${this.#request.hostname}:${this.#request.port}`));
  }

  useWire(wire: Wire): void {
    const { socket } = wire;
    const { byteLength = 0 } = this.#request.body ?? {};
    // The caller's memory was transferred, shrunk or extended while this waited: the server would wait for the rest, or read a request in it.
    if (byteLength !== this.#bodySize) this.fail(sizeMismatch(byteLength, this.#bodySize));
    wire.use(this);
    if (this.#isFinished) {
      wire.detach();
      process.nextTick(() => wire.giveBack());
      return;
    }
    this.#wire = wire;
    this.#bytesBefore = socket.bytesRead;
    if (socket.destroyed) process.nextTick(() => this.end());
    else this.#write(socket);
  }

  #write(socket: Socket): void {
    const { body } = this.#request;
    const head = this.#head;
    if (body === undefined || body.byteLength === 0) {
      socket.write(head, 'latin1');
    } else if (head.length + body.byteLength <= maxCopied) {
      const size = head.length + body.byteLength;
      const isShared = !socket.connecting && !('encrypted' in socket);
      const all = isShared ? outgoing.subarray(0, size) : Buffer.allocUnsafe(size);
      all.write(head, 'latin1');
      all.set(body, head.length);
      socket.write(all);
      // The system still reads from the buffer what it has not taken yet.
      if (isShared && socket.writableLength > 0) outgoing = Buffer.allocUnsafeSlow(maxCopied);
    } else {
      if (socket.connecting) socket.once('connect', () => this.#assertKept(body)); // until then, nothing of it has left
      socket.cork();
      socket.write(head, 'latin1');
      socket.write(body);
      socket.uncork();
    }
  }

  /** Memory that was extended still holds what is being written. */
  #assertKept({ byteLength }: Uint8Array): void {
    if (byteLength < this.#bodySize) this.fail(sizeMismatch(byteLength, this.#bodySize));
  }

  read(chunk: Buffer): void {
    try {
      const answer = this.#answer;
      const pieces = answer.read(chunk);
      const { head } = answer;
      if (head === undefined) return;
      const isRefusal = head.status >= 300;
      if (!isRefusal && this.#size === 0) this.#request.onHead?.(head);
      if (this.#options.opens && !isRefusal) return this.#pass(pieces);
      if (!isRefusal && this.#size === 0 && pieces[0] !== undefined) this.#request.onBeginning?.(pieces[0]);
      for (const piece of pieces) this.#keep(piece);
      if (isRefusal && this.#size > longestError) return this.fail(new Error('an error without end'));
      assertDocumentSize(this.#size);
      if (answer.isComplete) this.#finish();
    } catch (error) {
      this.fail(error);
    }
  }

  /** Passes pieces on to whoever opened the answer. */
  #pass(pieces: readonly Buffer[]): void {
    const answer = this.#answer;
    const here = pieces.reduce((size, { length }) => size + length, this.#size);
    if (this.#body === undefined && here + (answer.left ?? Infinity) > maxBuffered) {
      const { socket } = this.#wire!;
      this.#body = new AnswerBody({
        flow: (isWanted) => void (isWanted ? socket.resume() : socket.pause()),
        abandon: (error) => this.fail(error),
      });
      this.#settle();
    }
    for (const piece of pieces) {
      if (this.#body === undefined) this.#keep(piece);
      else this.#body.arrive(piece);
    }
    if (answer.isComplete) this.#finish();
  }

  #keep(piece: Buffer): void {
    this.#chunks.push(piece);
    this.#size += piece.length;
  }

  /** Resolves: as much of the answer as anybody needs has arrived. */
  #settle(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#stopWaiting();
    const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    const head = this.#answer.head!;
    if (!this.#options.opens || head.status >= 300) return this.#options.resolve({ ...head, document: bytes.toString() });
    this.#options.resolve({ ...head, document: '', body: this.#body ?? wholeBody(bytes, this.#options.signal) });
  }

  #finish(): void {
    const wire = this.#wire!;
    const { socket } = wire;
    this.#detach();
    this.#settle();
    if (this.#body !== undefined) {
      this.#body.complete();
      socket.resume(); // the next exchange expects it to flow
    }
    this.res = this.#answer.head;
    this.shouldKeepAlive = this.#answer.keepsAlive;
    // A server that refuses a body need not wait for the rest of it.
    if (!this.shouldKeepAlive || socket.writableLength > 0) socket.destroy();
    // The agent understands the Keep-Alive header, with which some servers say how long they keep a connection.
    else if (this.#answer.head?.headers['keep-alive'] === undefined) this.#options.wires.keep(wire);
    else wire.giveBack();
  }

  end(): void {
    if (this.#isFinished) return;
    if (this.#answer.endsWithConnection) this.#finish();
    else this.fail(cutError());
  }

  timeOut(): void {
    const socket = this.#wire?.socket ?? null;
    // Nothing arrives because the reader has enough for the time being. guardBody ends a body that is not read for too long.
    if (socket?.isPaused() === true) socket.setTimeout(this.timeout); // it fires once
    else this.fail(timeoutError(socket));
  }

  readonly #abort = (): void => {
    this.#isSettled = true;
    const reason: unknown = this.#options.signal?.reason;
    this.fail(reason);
    this.#options.reject(reason);
  };

  fail(error: unknown): void {
    if (this.#isFinished) return;
    const socket = this.#wire?.socket;
    this.#detach();
    socket?.destroy();
    this.#body?.sourceFailed(error as Error);
    if (this.#isSettled) return;
    if (this.#saysEnough()) return this.#settle();
    this.#isSettled = true;
    this.#stopWaiting();
    // The agent reports reuse for sockets that were idle, but not for those that one request hands to the next one in the line.
    const isKept = this.reusedSocket || this.#bytesBefore > 0;
    this.#options.reject(isKept ? failureOnKept(error, socket, this.#bytesBefore) : error);
  }

  /** Whether enough of a refusal has arrived to tell which one it is. */
  #saysEnough(): boolean {
    const { status } = this.#answer.head ?? { status: 0 };
    return status >= 300 && saysEnough(status, Buffer.concat(this.#chunks).toString('latin1'));
  }

  #detach(): void {
    this.#isFinished = true;
    clearTimeout(this.#waiting);
    this.#wire?.detach();
  }
}
