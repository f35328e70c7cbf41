import type { Settings } from '../settings.ts';
import { BucketEndpoints } from '../signing/bucket-endpoints.ts';
import { Clock } from '../signing/clock.ts';
import { Credentials } from '../signing/credentials.ts';
import { PayloadSigning } from '../signing/payload-signing.ts';
import { poolFor } from './node-http.ts';
import type { Pool } from './pool.ts';
import { RawSockets } from './raw-sockets.ts';
import { KeptWires } from './wire.ts';

/** What all requests of a backend share, whatever speaks through it: one bounded pool of sockets, and what they are signed with. */
export interface Connection {
  readonly agent: Pool;
  readonly isTls: boolean;
  /** Sockets of the agent between two exchanges. */
  readonly wires: KeptWires;
  /** Count towards the limit of the agent. */
  readonly rawSockets: RawSockets;
  readonly payloadSigning: PayloadSigning;
  readonly credentials: Credentials;
  readonly clock: Clock;
  readonly bucketEndpoints: BucketEndpoints;
  close(): void;
}

export function connect(settings: Settings): Connection {
  const { endpoint, maxPoolConnections, timeout, verifySsl } = settings;
  // Kept sockets are closed after being unused for this long. One millisecond more than `timeout`, because when several timers are due
  // together, Node also fires those that another one's callback has just restarted, as when a body that is given up makes room for a
  // request.
  const idle = timeout * 1000 + 1;
  const pool = { keepAlive: true, maxSockets: maxPoolConnections, scheduling: 'lifo', noDelay: true, timeout: idle } as const;
  const isTls = endpoint?.startsWith('http:') !== true;
  const agent = poolFor(isTls, { ...pool, rejectUnauthorized: verifySsl });
  const wires = new KeptWires(agent);
  const rawSockets = new RawSockets(settings, { agent, isTls, wires });
  const clock = new Clock();
  return {
    agent,
    isTls,
    wires,
    rawSockets,
    payloadSigning: new PayloadSigning(settings),
    credentials: new Credentials(settings.credentials, clock, timeout),
    clock,
    bucketEndpoints: new BucketEndpoints(settings),
    close() {
      rawSockets.close();
      agent.destroy();
    },
  };
}
