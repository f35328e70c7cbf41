import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';

/** A TCP proxy on 127.0.0.1 between a pool and its server. */
export interface DatabaseProxy {
  readonly port: string;
  /** Connections that clients have opened; a test may set it back to 0. */
  opened: number;
  /** What the next connection waits for before it reaches the server. */
  delayed: Promise<void> | undefined;
  /** How many connections clients have at present. */
  readonly connected: () => Promise<number>;
  close(): void;
}

/** @param url of the database that it leads to */
export async function databaseProxy(url: string): Promise<DatabaseProxy> {
  const { hostname, port } = new URL(url);
  const server = createServer((client) => {
    proxy.opened += 1;
    client.on('error', () => {});
    const reach = (): void => {
      const upstream = connect(Number(port), hostname).on('error', () => client.destroy());
      client.pipe(upstream).pipe(client);
      // What a client still sends is then read by nobody else, and the end of its connection is behind that.
      upstream.on('close', () => client.resume());
    };
    const { delayed } = proxy;
    proxy.delayed = undefined;
    if (delayed === undefined) reach();
    else void delayed.then(reach);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const count = promisify(server.getConnections.bind(server));
  const proxy: DatabaseProxy = {
    port: String((server.address() as AddressInfo).port),
    opened: 0,
    delayed: undefined,
    connected: async () => count(),
    close: () => void server.close(),
  };
  return proxy;
}
