import type { AgentOptions, request as httpRequest } from 'node:http';
import type { Agent as HttpsAgent, AgentOptions as HttpsAgentOptions } from 'node:https';

import { poolOver } from './pool.ts';
import type { Pool } from './pool.ts';
import { tunnelling } from './tunnels.ts';

/*
 * Importing node:http evaluates everything that it exports, including WebSocket and thus all of fetch: 40 ms and 15 MiB at every start.
 * `getBuiltinModule` does not. TLS costs another 15 ms and is loaded only if it is used.
 */
const http = process.getBuiltinModule('node:http');

export function poolFor(isTls: boolean, options: AgentOptions & HttpsAgentOptions): Pool {
  if (!isTls) return poolOver(http.Agent, options);
  const { Agent } = process.getBuiltinModule('node:https');
  const proxyEnv = environmentProxies();
  return proxyEnv === undefined ? poolOver(Agent, options) : poolOver(tunnelling(Agent), { ...options, proxyEnv });
}

/** Whether TLS connections go through a proxy, except those to excluded hosts. */
export function isTunnelled(isTls: boolean): boolean {
  return isTls && environmentProxies() !== undefined;
}

/** An agent for requests outside the pool; undefined if there is no proxy. */
export function proxiedAgent(): HttpsAgent | undefined {
  const proxyEnv = environmentProxies();
  return proxyEnv && new (process.getBuiltinModule('node:https').Agent)({ proxyEnv });
}

/** The proxies that Node was told to use. Other runtimes may not report them. */
function environmentProxies(): AgentOptions['proxyEnv'] {
  const { proxyEnv } = (process.getBuiltinModule('node:https').globalAgent.options as AgentOptions | undefined) ?? {};
  return proxyEnv?.https_proxy || proxyEnv?.HTTPS_PROXY ? proxyEnv : undefined;
}

/** The function that sends requests through such a pool. */
export function requestFor(isTls: boolean): typeof httpRequest {
  return isTls ? process.getBuiltinModule('node:https').request : http.request;
}
