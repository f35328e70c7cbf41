import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** The head of a request that reached the proxy. */
export interface SeenRequest {
  readonly method: string;
  /** Path and query, as sent. */
  readonly target: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds, by `performance.now()`. */
  readonly at: number;
}

/** Sent instead of the server's answer. */
export type Reply = { readonly text: string; readonly thenCut?: boolean } | 'cut' | 'silence';

/** What happens to the connections of a proxy. */
interface Faults {
  /** Bytes of the server's answers that pass before a connection is cut. */
  cutAfter?: number;
  /** Like `cutAfter`, counted from the end of the head of an answer. */
  cutBodyAfter?: number;
  /** Bytes from the client that pass before a connection is cut. */
  cutUploadAfter?: number;
  /** Changes the last byte of each piece from the client, except of heads. */
  corrupt?: boolean;
  /** How a connection is cut. Default: FIN, as when a process ends. */
  cut?: 'end' | 'reset';
  /** Nothing passes any more, and nobody is told. */
  frozen?: boolean;
  /** Answers pass in pieces of `bytes` bytes, one every `ms` milliseconds. */
  drip?: { readonly bytes: number; readonly ms: number };
  /** What a request gets instead of reaching the server: an answer, a cut, or silence. */
  answer?: (request: SeenRequest) => Reply | undefined;
}

export interface Proxy {
  readonly endpoint: string;
  /** A test sets some of them; open connections obey at once. */
  readonly faults: Faults;
  readonly requests: readonly SeenRequest[];
  /** The number of such requests, which are attempts as the server sees them. @param part of the target */
  count(method: string, part?: string): number;
  /** The number of open connections. */
  connections(): number;
  /** The most connections that were open at once. */
  mostConnections(): number;
  /** Cuts all connections. */
  cutAll(): void;
  /** Cuts all connections and refuses new ones. */
  down(): Promise<void>;
  up(): Promise<void>;
  close(): Promise<void>;
}

/** Stands between a client and a real server, and can fail as servers do. */
export async function proxyTo(target: string): Promise<Proxy> {
  const state = { faults: {} as Faults, requests: [] as SeenRequest[], open: new Set<Socket>(), most: 0, target };
  let server = createServer((client) => serve(client, state));
  const listen = async (port: number): Promise<void> => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const cutAll = (): void => state.open.forEach((socket) => cutSocket(socket, state.faults));
  return {
    endpoint: `http://127.0.0.1:${port}`,
    faults: state.faults,
    requests: state.requests,
    count: (method, part = '') => state.requests.filter((seen) => seen.method === method && seen.target.includes(part)).length,
    connections: () => state.open.size,
    mostConnections: () => state.most,
    cutAll,
    async down() {
      cutAll();
      await closed(server);
    },
    async up() {
      server = createServer((client) => serve(client, state));
      await listen(port);
    },
    async close() {
      for (const socket of state.open) socket.destroy();
      if (server.listening) await closed(server);
    },
  };
}

const endOfHead = Buffer.from('\r\n\r\n');

interface State {
  readonly faults: Faults;
  readonly requests: SeenRequest[];
  readonly open: Set<Socket>;
  most: number;
  readonly target: string;
}

async function closed(server: Server): Promise<void> {
  server.close();
  await once(server, 'close');
}

function cutSocket(socket: Socket, { cut = 'end' }: Faults): void {
  if (cut === 'reset') socket.resetAndDestroy();
  else socket.destroy();
}

function serve(client: Socket, state: State): void {
  const { faults, open, requests } = state;
  const upstream = connect(Number(new URL(state.target).port), '127.0.0.1');
  open.add(client);
  // The close of a connection that made way for this one may be reported a moment later.
  setTimeout(() => (state.most = Math.max(state.most, open.size)), 10);
  const cut = (): void => {
    cutSocket(client, faults);
    upstream.destroy();
  };
  for (const socket of [client, upstream]) socket.setNoDelay(true).on('error', cut).on('close', cut);
  client.on('close', () => open.delete(client));
  let [sent, answered, bodySent] = [0, 0, 0];
  let isSwallowed = false;
  let isBody = false;

  client.on('data', (chunk: Buffer) => {
    const seen = headOf(chunk);
    if (seen !== undefined) {
      requests.push(seen);
      const answer = faults.answer?.(seen);
      isSwallowed = answer !== undefined;
      isBody = false;
      if (answer === 'cut') return cut();
      if (typeof answer === 'object') client.write(answer.text, () => answer.thenCut === true && cut());
    }
    if (isSwallowed || faults.frozen === true) return;
    if ((sent += chunk.length) > (faults.cutUploadAfter ?? Infinity)) return cut();
    if (faults.corrupt === true && !chunk.subarray(-4).equals(endOfHead)) chunk[chunk.length - 1]! ^= 1;
    if (!upstream.write(chunk)) client.pause();
  });
  upstream.on('drain', () => client.resume());
  client.on('end', () => faults.frozen !== true && upstream.end());

  let isLast = false;
  const pass = (chunk: Buffer): void => {
    if (faults.frozen === true || isLast) return;
    const left = (faults.cutAfter ?? Infinity) - answered;
    const end = isBody ? 0 : chunk.indexOf('\r\n\r\n') + 4;
    const bodyLeft = (faults.cutBodyAfter ?? Infinity) - bodySent + end;
    const most = Math.max(0, Math.min(left, bodyLeft));
    if (chunk.length > most) {
      // Not before the bytes that may pass have been sent.
      isLast = true;
      client.write(chunk.subarray(0, most), cut);
      return;
    }
    answered += chunk.length;
    if (isBody || end > 3) bodySent += chunk.length - end;
    isBody = isBody || end > 3;
    if (!client.write(chunk)) upstream.pause();
  };
  const dripInto = async (chunk: Buffer, { bytes, ms }: NonNullable<Faults['drip']>): Promise<void> => {
    upstream.pause();
    for (let start = 0; start < chunk.length && !client.destroyed; start += bytes) {
      pass(chunk.subarray(start, start + bytes));
      await delay(ms);
    }
    upstream.resume();
  };
  upstream.on('data', (chunk: Buffer) => (faults.drip === undefined ? pass(chunk) : void dripInto(chunk, faults.drip)));
  client.on('drain', () => upstream.resume());
  upstream.on('end', () => faults.frozen !== true && client.end());
}

/** Clients wait for an answer before they send the next head, so each head begins a chunk. */
function headOf(chunk: Buffer): SeenRequest | undefined {
  const [, method, target] = /^([A-Z]+) (\S+) HTTP\/1\.1\r\n/.exec(chunk.subarray(0, 4096).toString('latin1')) ?? [];
  if (method === undefined || target === undefined) return undefined;
  const end = chunk.indexOf('\r\n\r\n');
  const lines = chunk.subarray(0, end).toString('latin1').split('\r\n').slice(1);
  const headers = lines.map((line) => /^([^:]+): *(.*)$/.exec(line) ?? []).map(([, name = '', value = '']) => [name.toLowerCase(), value]);
  return { method, target, headers: Object.fromEntries(headers) as Record<string, string>, at: performance.now() };
}
