import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

import { selfSigned } from '@coffer/fixtures';

const main = `
  const { connect, createServer } = require('node:net');
  const { createSecureContext, TLSSocket } = require('node:tls');
  const { parentPort, workerData } = require('node:worker_threads');
  const { identity, hostname, port } = workerData;
  const secureContext = createSecureContext(identity);
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write('S');
      const tls = new TLSSocket(socket, { isServer: true, secureContext }).on('error', () => {});
      tls.pipe(connect(port, hostname).on('error', () => {})).pipe(tls);
    });
  }).listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
`;

/**
 * A proxy on 127.0.0.1 that speaks TLS with a pool, in a thread of its own: it goes on while that of the tests is busy.
 * @param url of the database that it leads to
 */
export async function securedProxy(url: string): Promise<{ readonly port: string; close(): Promise<unknown> }> {
  const { hostname, port } = new URL(url);
  const worker = new Worker(main, { eval: true, workerData: { identity: selfSigned(), hostname, port: Number(port) } });
  const [listening] = (await once(worker, 'message')) as [number];
  return { port: String(listening), close: () => worker.terminate() };
}
