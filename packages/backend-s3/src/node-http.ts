import type { AgentOptions, request as httpRequest } from 'node:http';
import type { AgentOptions as HttpsAgentOptions } from 'node:https';

import { poolOver } from './pool.ts';
import type { Pool } from './pool.ts';

/*
 * Importing node:http evaluates everything that it exports, WebSocket and with it all of fetch: 40 ms and 15 MiB at every
 * start. Asking for the module does not. TLS, another 15 ms, is loaded where it is spoken.
 */
const http = process.getBuiltinModule('node:http');

export function poolFor(isTls: boolean, options: AgentOptions & HttpsAgentOptions): Pool {
  return poolOver(isTls ? process.getBuiltinModule('node:https').Agent : http.Agent, options);
}

/** What sends requests through such a pool. */
export function requestFor(isTls: boolean): typeof httpRequest {
  return isTls ? process.getBuiltinModule('node:https').request : http.request;
}
