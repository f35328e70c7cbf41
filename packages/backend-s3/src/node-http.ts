import type { Agent, AgentOptions, request as httpRequest } from 'node:http';
import type { Agent as HttpsAgent, AgentOptions as HttpsAgentOptions } from 'node:https';

/*
 * Importing node:http evaluates everything that it exports, WebSocket and with it all of fetch: 40 ms and 15 MiB at every
 * start. Asking for the module does not. TLS, another 15 ms, is loaded where it is spoken.
 */
const http = process.getBuiltinModule('node:http');

export function agentFor(isTls: boolean, options: AgentOptions & HttpsAgentOptions): Agent | HttpsAgent {
  return isTls ? new (process.getBuiltinModule('node:https').Agent)(options) : new http.Agent(options);
}

/** What sends requests through such an agent. */
export function requestFor(isTls: boolean): typeof httpRequest {
  return isTls ? process.getBuiltinModule('node:https').request : http.request;
}
