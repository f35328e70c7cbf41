import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

import type { Bench } from './bench.ts';

/** Connections to a server, which can be cut. */
export interface Line {
  readonly endpoint: string;
  /** All that are open, and new ones as soon as they are made. */
  cut(): void;
  mend(): void;
}

/** Stands between the process under test and a server, and changes no byte. */
export async function lineTo({ resources }: Bench, target: string): Promise<Line> {
  const { hostname, port } = new URL(target);
  const open = new Set<Socket>();
  let isCut = false;
  const end = (): void => open.forEach((socket) => socket.resetAndDestroy());
  const server = createServer((client) => {
    if (isCut) return void client.on('error', () => {}).resetAndDestroy();
    const upstream = connect(Number(port), hostname);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(from);
      from.setNoDelay(true).on('error', () => {});
      from.on('close', () => {
        open.delete(from);
        if (!from.readableEnded) to.destroy(); // one that ended well is still being passed on
      });
      from.pipe(to);
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  resources.defer(() => {
    server.close();
    end();
  });
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut() {
      isCut = true;
      end();
    },
    mend() {
      isCut = false;
    },
  };
}
