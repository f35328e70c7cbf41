import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';

import { matches, pieces } from '../load/generated-bytes.ts';

/** The speed: so many KiB every so many milliseconds. */
export const pace = { kib: 32, everyMs: 100 };

interface Request {
  readonly method: 'GET' | 'PUT';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A client on a slow connection. */
abstract class SlowSocket {
  /** Bytes of the file that were received or sent. */
  moved = 0;
  protected readonly socket: Socket;
  readonly #timer;
  #isOver = false;

  constructor({ method, url, headers }: Request) {
    const { hostname, port, host, pathname, search } = new URL(url);
    const lines = Object.entries({ host, ...headers, connection: 'close' }).map(([name, value]) => `${name}: ${value}\r\n`);
    this.socket = connect(Number(port), hostname);
    this.socket.write(`${method} ${pathname}${search} HTTP/1.1\r\n${lines.join('')}\r\n`);
    this.socket.on('error', () => {});
    this.socket.on('close', () => (this.#isOver = true));
    this.#timer = setInterval(() => this.move(pace.kib * 1024), pace.everyMs);
  }

  /** Whether bytes have moved and the connection is still open. */
  get isServed(): boolean {
    return this.moved > 0 && !this.#isOver;
  }

  async leave(): Promise<void> {
    clearInterval(this.#timer);
    this.socket.destroy();
    if (!this.#isOver) await once(this.socket, 'close');
  }

  protected abstract move(most: number): void;
}

/** Reads a little at a time, and checks that it is what was uploaded. */
export class SlowReader extends SlowSocket {
  #head = '';

  protected override move(most: number): void {
    for (let left = most; left > 0;) {
      const chunk = this.socket.read() as Buffer | null;
      if (chunk === null) return;
      left -= chunk.length;
      this.#read(chunk);
    }
  }

  #read(chunk: Buffer): void {
    let body = chunk;
    if (!this.#head.includes('\r\n\r\n')) {
      const known = this.#head.length;
      this.#head += chunk.toString('latin1');
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return;
      if (!this.#head.startsWith('HTTP/1.1 200')) return void this.socket.destroy();
      body = chunk.subarray(end + 4 - known);
    }
    if (!matches(body, this.moved)) throw new Error(`A slow reader got something else than was uploaded, near byte ${this.moved}.`);
    this.moved += body.length;
  }
}

/** Sends a little at a time, of a large file. */
export class SlowWriter extends SlowSocket {
  protected override move(most: number): void {
    if (this.socket.writableLength > 0) return;
    for (const piece of pieces(most, most)) this.socket.write(piece);
    this.moved += most;
  }
}
