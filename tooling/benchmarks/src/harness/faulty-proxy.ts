import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

import type { Bench } from './bench.ts';

/** Connections to a server, which can be cut or held up. */
export interface FaultyProxy {
  readonly endpoint: string;
  /** Cuts all open connections, and new ones as soon as they are made. */
  cut(): void;
  /** Holds back all data in both directions, and new connections, without a sign to either side: as with a server that hangs. */
  stall(): void;
  restore(): void;
}

/**
 * A proxy between the process under test and a server. It changes no byte.
 * @param target a URL of any scheme, with a port
 */
export async function startFaultyProxy({ resources }: Bench, target: string): Promise<FaultyProxy> {
  const { hostname, port, host } = new URL(target);
  /** Each socket with the one that it is forwarded to. */
  const open = new Map<Socket, Socket>();
  let isCut = false;
  let isStalled = false;
  const end = (): void => open.forEach((_, socket) => socket.resetAndDestroy());
  const server = createServer((client) => {
    if (isCut) return void client.on('error', () => {}).resetAndDestroy();
    const upstream = connect(Number(port), hostname);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.set(from, to);
      from.setNoDelay(true).on('error', () => {});
      from.on('close', () => {
        if (from.readableEnded && isStalled) return; // `restore` passes the end on
        open.delete(from);
        if (!from.readableEnded) to.destroy(); // after a regular end, data is still being forwarded
      });
      if (!isStalled) from.pipe(to);
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  resources.defer(() => {
    server.close();
    end();
  });
  return {
    endpoint: target.replace(host, `127.0.0.1:${(server.address() as AddressInfo).port}`),
    cut() {
      isCut = true;
      end();
    },
    stall() {
      isStalled = true;
      open.forEach((to, from) => from.unpipe(to));
    },
    restore() {
      for (const [from, to] of isStalled ? open : []) {
        from.pipe(to); // of a socket that has ended, forwards the end
        if (from.closed) open.delete(from);
      }
      isStalled = false;
      isCut = false;
    },
  };
}
