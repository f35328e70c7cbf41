import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The message in which a peer tells the benchmark where it listens. */
export interface PeerAddress {
  readonly port: number;
}

/** Reports the port of a listening peer, and makes the peer exit with the benchmark. */
export function announce(server: Pick<Server, 'address'>): void {
  const { port } = server.address() as AddressInfo;
  process.once('disconnect', () => process.exit(0));
  process.send?.({ port } satisfies PeerAddress);
}
