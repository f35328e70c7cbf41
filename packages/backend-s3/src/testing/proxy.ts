import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** What happens to the connections of a proxy. */
interface Faults {
  /** Bytes of the server's answers that pass before the connection is cut. */
  cutAfter?: number;
  /** Bytes from the client that pass before the connection is cut. */
  cutUploadAfter?: number;
  /** Nothing passes any more, and nobody is told. */
  frozen?: boolean;
}

export interface Proxy {
  readonly endpoint: string;
  readonly faults: Faults;
  /** Connections that are open. */
  connections(): number;
  close(): Promise<void>;
}

/** Stands between a client and a real server, and can fail in ways that servers do. */
export async function proxyTo(target: string): Promise<Proxy> {
  const faults: Faults = {};
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(new URL(target).port), '127.0.0.1');
    const pair = [client, upstream];
    const cut = (): void => pair.forEach((socket) => socket.destroy());
    sockets.add(client);
    for (const socket of pair) socket.on('error', cut).on('close', cut);
    client.on('close', () => sockets.delete(client));
    const pass = (from: Socket, to: Socket, limit: () => number | undefined): void => {
      let passed = 0;
      from.on('data', (chunk) => {
        if (faults.frozen === true) return;
        passed += chunk.length;
        const most = limit();
        if (most !== undefined && passed > most) return cut();
        if (!to.write(chunk)) from.pause();
      });
      to.on('drain', () => from.resume());
      from.on('end', () => faults.frozen !== true && to.end());
    };
    pass(client, upstream, () => faults.cutUploadAfter);
    pass(upstream, client, () => faults.cutAfter);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faults,
    connections: () => sockets.size,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
