import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

import type { Env } from './cli.ts';

/** Runs `work` with a provider that accepts connections and never answers. */
export async function withHangingProvider(work: (env: Env, connected: Promise<unknown>) => Promise<void>): Promise<void> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const env = {
    STORAGE_BACKEND: 's3',
    STORAGE_S3_ENDPOINT: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    STORAGE_S3_ACCESS_KEY: 'access',
    STORAGE_S3_SECRET_KEY: 'hidden',
  };
  try {
    await work(env, once(server, 'connection'));
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}
