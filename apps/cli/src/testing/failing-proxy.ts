import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/**
 * A proxy that, after a number of bytes, ends every connection and is gone for a while, like a server that restarts. Nobody else gets
 * its port meanwhile.
 */
export class FailingProxy {
  readonly #target: URL;
  readonly #downMs: number;
  readonly #open = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;
  #isDown = false;
  #timer: NodeJS.Timeout | undefined;
  #bytesLeft = Infinity;
  #failures = 0;

  constructor(target: string, { downMs }: { readonly downMs: number }) {
    this.#target = new URL(target);
    this.#downMs = downMs;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** How often it was gone. */
  get failures(): number {
    return this.#failures;
  }

  failAfter(bytes: number): void {
    this.#bytesLeft = bytes;
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
    if (this.#isDown) {
      client.on('error', () => {}).destroy();
      return;
    }
    const server = connect(Number(this.#target.port), this.#target.hostname);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#open.add(from);
      from.on('data', (chunk: Buffer) => this.#onPassed(chunk.length));
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#open.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  }

  #onPassed(bytes: number): void {
    this.#bytesLeft -= bytes;
    if (this.#bytesLeft > 0) return;
    this.#bytesLeft = Infinity;
    this.#failures += 1;
    this.#isDown = true;
    this.#endAll();
    this.#timer = setTimeout(() => (this.#isDown = false), this.#downMs);
  }
}
