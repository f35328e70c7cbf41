import type { AgentOptions, request as httpRequest } from 'node:http';
import type { Agent as HttpsAgent, AgentOptions as HttpsAgentOptions } from 'node:https';

import { poolOver } from './pool.ts';
import type { Pool } from './pool.ts';
import { tunnelling } from './tunnels.ts';

/*
 * Importing node:http evaluates everything that it exports, WebSocket and with it all of fetch: 40 ms and 15 MiB at every
 * start. Asking for the module does not. TLS, another 15 ms, is loaded where it is spoken.
 */
const http = process.getBuiltinModule('node:http');

export function poolFor(isTls: boolean, options: AgentOptions & HttpsAgentOptions): Pool {
  if (!isTls) return poolOver(http.Agent, options);
  const { Agent } = process.getBuiltinModule('node:https');
  const proxyEnv = environmentProxies();
  return proxyEnv === undefined ? poolOver(Agent, options) : poolOver(tunnelling(Agent), { ...options, proxyEnv });
}

/** Whether connections over TLS go through a proxy, save those to hosts that are excepted. */
export function isTunnelled(isTls: boolean): boolean {
  return isTls && environmentProxies() !== undefined;
}

/** For requests that are not of the pool. Undefined where there is no proxy. */
export function proxiedAgent(): HttpsAgent | undefined {
  const proxyEnv = environmentProxies();
  return proxyEnv && new (process.getBuiltinModule('node:https').Agent)({ proxyEnv });
}

/** Those that Node was told to use. Other runtimes may not say. */
function environmentProxies(): AgentOptions['proxyEnv'] {
  const { proxyEnv } = (process.getBuiltinModule('node:https').globalAgent.options as AgentOptions | undefined) ?? {};
  return proxyEnv?.https_proxy || proxyEnv?.HTTPS_PROXY ? proxyEnv : undefined;
}

/** What sends requests through such a pool. */
export function requestFor(isTls: boolean): typeof httpRequest {
  return isTls ? process.getBuiltinModule('node:https').request : http.request;
}
