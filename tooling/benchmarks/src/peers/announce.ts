import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** How a peer tells the benchmark where it listens. */
export interface PeerAddress {
  readonly port: number;
}

/** Says where a listening peer is, and lets it end with the benchmark. */
export function announce(server: Pick<Server, 'address'>): void {
  const { port } = server.address() as AddressInfo;
  process.once('disconnect', () => process.exit(0));
  process.send?.({ port } satisfies PeerAddress);
}
