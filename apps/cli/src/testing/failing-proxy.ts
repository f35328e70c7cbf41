import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/**
 * A proxy that, after a number of bytes, ends every connection and is gone for a while, like a server that restarts. Nobody else gets
 * its port meanwhile.
 */
export class FailingProxy {
  readonly #target: URL;
  readonly #goneMs: number;
  readonly #open = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;
  #isGone = false;
  #timer: NodeJS.Timeout | undefined;
  #left = Infinity;
  #failures = 0;

  constructor(target: string, { goneMs }: { readonly goneMs: number }) {
    this.#target = new URL(target);
    this.#goneMs = goneMs;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** How often it was gone. */
  get failures(): number {
    return this.#failures;
  }

  failAfter(bytes: number): void {
    this.#left = bytes;
  }

  async start(): Promise<void> {
    this.#server = createServer((client) => this.#serve(client)).listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#server?.close();
    this.#endAll();
  }

  #endAll(): void {
    for (const socket of this.#open) socket.destroy();
  }

  #serve(client: Socket): void {
    if (this.#isGone) {
      client.on('error', () => {}).destroy();
      return;
    }
    const server = connect(Number(this.#target.port), this.#target.hostname);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#open.add(from);
      from.on('data', (chunk: Buffer) => this.#passed(chunk.length));
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#open.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  }

  #passed(bytes: number): void {
    this.#left -= bytes;
    if (this.#left > 0) return;
    this.#left = Infinity;
    this.#failures += 1;
    this.#isGone = true;
    this.#endAll();
    this.#timer = setTimeout(() => (this.#isGone = false), this.#goneMs);
  }
}
