import { once } from 'node:events';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, getCACertificates, setDefaultCACertificates } from 'node:tls';

import { selfSigned } from '@coffer/fixtures';

/** Speaks TLS for a server that does not, as 127.0.0.1 and `hosts`. This process trusts its certificate until it is disposed. */
export async function tlsFront(target: string, hosts: readonly string[] = []): Promise<{ readonly port: number } & AsyncDisposable> {
  const identity = selfSigned(hosts);
  setDefaultCACertificates([...getCACertificates('default'), identity.cert]);
  const { hostname, port } = new URL(target);
  const open = new Set<Socket>();
  const server = createServer(identity, (client) => {
    open.add(client);
    const behind = connect(Number(port), hostname).setNoDelay();
    client.setNoDelay().pipe(behind).pipe(client);
    for (const [one, other] of [
      [client, behind],
      [behind, client],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
    client.on('close', () => open.delete(client));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const client of open) client.destroy();
      server.close();
      await once(server, 'close');
      setDefaultCACertificates(getCACertificates('default').filter((certificate) => certificate.trim() !== identity.cert.trim()));
    },
  };
}
