import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';

import { StartupError } from '@coffer/runtime';

/** Where to listen, and the variable that configures it. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
  readonly variable: string;
}

/** @throws StartupError that says what to do about it */
export async function listen(server: Server, address: ListenAddress): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(address.port, address.host, resolve);
  try {
    await promise;
  } catch (cause) {
    throw new StartupError(reasonFor((cause as NodeJS.ErrnoException).code, address), { cause });
  } finally {
    server.off('error', reject);
  }
}

function reasonFor(code: string | undefined, { host, port, variable }: ListenAddress): string {
  if (code === 'EADDRINUSE')
    return `Port ${port} on ${host} is in use. Stop what listens there, or choose another port: ${variable}=${port === 65_535 ? port - 1 : port + 1} npm start`;
  if (code === 'EACCES') return `Port ${port} on ${host} may not be used by this user; set ${variable} to one above 1023.`;
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return `${variable === 'PORT' ? 'HOST' : 'METRICS_HOST'}=${host} is no address of this machine.`;
  return `It is not possible to listen on port ${port} of ${host} (${code ?? 'for an unknown reason'}).`;
}

/**
 * A port that is free right now. URLs are signed before the server listens, so the port must be known by then.
 * @throws StartupError
 */
export async function freePort(host: string): Promise<number> {
  const probe = createServer();
  await listen(probe, { host, port: 0, variable: 'PORT' });
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
