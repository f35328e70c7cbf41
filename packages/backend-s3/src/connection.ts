import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';

import type { Settings } from './options.ts';

/** The one bounded pool of sockets, whatever speaks through them. */
export interface Connection {
  readonly httpAgent: HttpAgent;
  readonly httpsAgent: HttpsAgent;
  /** The one of the two that reaches the endpoint. */
  readonly agent: HttpAgent | HttpsAgent;
  /** Whether bytes travel in the clear: then their hash is signed, where TLS makes that superfluous. */
  readonly signsPayload: boolean;
  close(): void;
}

export function connect({ endpoint, maxPoolConnections, verifySsl }: Settings): Connection {
  const pool = { keepAlive: true, maxSockets: maxPoolConnections, scheduling: 'lifo', noDelay: true } as const;
  const httpAgent = new HttpAgent(pool);
  const httpsAgent = new HttpsAgent({ ...pool, rejectUnauthorized: verifySsl });
  const isPlain = endpoint?.startsWith('http:') === true;
  return {
    httpAgent,
    httpsAgent,
    agent: isPlain ? httpAgent : httpsAgent,
    signsPayload: isPlain,
    close() {
      httpAgent.destroy();
      httpsAgent.destroy();
    },
  };
}
