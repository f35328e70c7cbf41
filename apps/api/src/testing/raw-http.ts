import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

interface AnswerOptions {
  readonly withoutBody?: boolean;
  readonly timeoutMs?: number;
}

/** A connection on which the test controls every byte. */
export class RawConnection {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  #ended = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
    });
    socket.on('close', () => {
      this.#ended = true;
    });
    socket.on('error', () => {});
  }

  static async open(base: string): Promise<RawConnection> {
    const { hostname, port } = new URL(base);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, 'connect');
    return new RawConnection(socket);
  }

  /** What has arrived and is not yet a complete answer. */
  get received(): string {
    return this.#received.toString('latin1');
  }

  get closed(): boolean {
    return this.#ended;
  }

  async write(data: string | Uint8Array): Promise<void> {
    if (this.socket.destroyed) return;
    await new Promise<void>((resolve) => this.socket.write(data, () => resolve()));
  }

  /** The next complete answer on this connection; rejects if the connection ends without one, or after `timeoutMs` (default 10,000). */
  async answer(options: AnswerOptions = {}): Promise<RawAnswer> {
    const deadline = Date.now() + (options.timeoutMs ?? 10_000);
    while (Date.now() < deadline) {
      const answer = this.#nextAnswer(options.withoutBody === true);
      if (answer !== undefined) return answer;
      if (this.#ended) throw new Error(`The connection ended without an answer: ${this.#received.toString('latin1').slice(0, 300)}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    throw new Error(`No answer in time: ${this.#received.toString('latin1').slice(0, 300)}`);
  }

  /** Waits for `100 Continue`, which a request with an Expect header gets once its body is read. */
  async continued(timeoutMs = 20_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!this.#received.includes('HTTP/1.1 100 ')) {
      if (this.#ended || Date.now() > deadline) throw new Error(`Not continued: ${this.#received.toString('latin1').slice(0, 300)}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Whether the other side closes the connection in time. */
  async closesInTime(timeoutMs = 10_000): Promise<boolean> {
    const deadline = Date.now() + timeoutMs;
    while (!this.#ended && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
    return this.#ended;
  }

  destroy(): void {
    this.socket.destroy();
  }

  #nextAnswer(withoutBody: boolean): RawAnswer | undefined {
    const head = this.#received.indexOf('\r\n\r\n');
    if (head === -1) return undefined;
    const [line = '', ...fields] = this.#received.toString('latin1', 0, head).split('\r\n');
    const headers = Object.fromEntries(
      fields.map((field) => {
        const colon = field.indexOf(':');
        return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
      }),
    );
    const status = Number(line.split(' ')[1]);
    const start = head + 4;
    if (status === 100) {
      this.#received = this.#received.subarray(start);
      return this.#nextAnswer(withoutBody);
    }
    const bodiless = withoutBody || status === 204 || status === 304;
    const bounds = bodiless ? { body: Buffer.alloc(0), end: start } : this.#bodyFrom(start, headers);
    if (bounds === undefined) return undefined;
    this.#received = this.#received.subarray(bounds.end);
    const body = bounds.body.toString('utf8');
    return { status, headers, body };
  }

  #bodyFrom(start: number, headers: Readonly<Record<string, string>>): { readonly body: Buffer; readonly end: number } | undefined {
    if (headers['transfer-encoding'] === 'chunked') return this.#chunksFrom(start);
    const length = headers['content-length'];
    const end = length === undefined ? this.#received.length : start + Number(length);
    if (length === undefined ? !this.#ended : this.#received.length < end) return undefined;
    return { body: this.#received.subarray(start, end), end };
  }

  #chunksFrom(start: number): { readonly body: Buffer; readonly end: number } | undefined {
    const chunks: Buffer[] = [];
    let at = start;
    for (;;) {
      const line = this.#received.indexOf('\r\n', at);
      if (line === -1) return undefined;
      const size = Number.parseInt(this.#received.toString('latin1', at, line), 16);
      const end = line + 2 + size + 2;
      if (this.#received.length < end) return undefined;
      if (size === 0) return { body: Buffer.concat(chunks), end };
      chunks.push(this.#received.subarray(line + 2, end - 2));
      at = end;
    }
  }
}

/**
 * Sends a request with a body of 4 MiB and reads the answer only after sending everything, as many clients do.
 * @throws if the connection is reset meanwhile
 */
export async function answerAfterAll(base: string, head: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(base).port), noDelay: true });
  const failures: Error[] = [];
  socket.on('error', (error) => failures.push(error));
  await once(socket, 'connect');
  socket.write(`${head}Content-Length: 4194304\r\n\r\n`);
  const piece = Buffer.alloc(65_536);
  for (let sent = 0; sent < 4_194_304 && failures.length === 0; sent += piece.length) {
    await new Promise((resolve) => socket.write(piece, resolve));
    if (sent < 4 * piece.length) await delay(50);
  }
  if (failures[0] !== undefined) throw failures[0];
  const [answer] = (await once(socket, 'data')) as [Buffer];
  await once(socket, 'close');
  return answer.toString();
}

/** Writes a request to a new connection; the answer, and the connection. */
export async function askRaw(
  base: string,
  request: string,
  options?: AnswerOptions,
): Promise<RawAnswer & { readonly connection: RawConnection }> {
  const connection = await RawConnection.open(base);
  await connection.write(request);
  return { ...(await connection.answer(options)), connection };
}
