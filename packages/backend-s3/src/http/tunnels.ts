import type { Agent, AgentOptions } from 'node:http';
import type { AgentOptions as HttpsAgentOptions } from 'node:https';
import type { Duplex } from 'node:stream';

import { isCertificateCode, timeoutError } from './socket-errors.ts';

type Options = AgentOptions & HttpsAgentOptions;
type Done = (error: Error | null | undefined, socket?: Duplex) => void;

/** node:http calls it for a request that gets a socket of its own. */
type CreateSocket = (request: unknown, options: Options, done: Done) => void;

/** The error of node:http if the proxy opens no tunnel. */
interface TunnelFailure extends NodeJS.ErrnoException {
  readonly statusCode?: number;
  readonly proxyTunnelTimeout?: number;
}

/** The proxy cannot be reached, or opens no tunnel. */
export class TunnelError extends Error {
  /** The status of the proxy's answer, if it gave one. */
  readonly status: number | undefined;
  /** Whether the proxy speaks TLS and its certificate is not trusted. */
  readonly isUntrusted: boolean;
  /**
   * Tells whether to retry, in codes that are understood everywhere. Not the code of node:http, which it would report to the request by
   * events.
   */
  readonly code: 'ECONNREFUSED' | 'ETUNNELREFUSED';

  constructor({ code, statusCode }: Partial<TunnelFailure>) {
    super(`no tunnel: ${code}`); // other texts of node:http contain the password of the proxy
    this.status = statusCode;
    this.isUntrusted = isCertificateCode(code);
    this.code = this.isUntrusted || (statusCode !== undefined && statusCode < 500) ? 'ETUNNELREFUSED' : 'ECONNREFUSED';
  }
}

/**
 * If Node is told to use the proxies of the environment (NODE_USE_ENV_PROXY, --use-env-proxy), so does an agent of node:https over this
 * class, which has `proxyEnv`. Its requests wait until their tunnel is open. Until then the tunnel counts among the sockets, as connecting
 * sockets do.
 *
 * @see https://nodejs.org/api/http.html#built-in-proxy-support
 */
export function tunnelling(Base: new (options: Options) => Agent): new (options: Options) => Agent {
  const { createSocket } = Base.prototype as unknown as { readonly createSocket: CreateSocket };
  return class extends Base {
    #latest: Duplex | null | undefined;

    createSocket(request: unknown, options: Options, done: Done): void {
      const { sockets } = this as unknown as { readonly sockets: Record<string, Duplex[]> };
      const name = this.getName(options);
      let hasEnded = false;
      let stopWatching = (): void => {};
      const end: Done = (error, socket) => {
        if (hasEnded) return;
        hasEnded = true;
        stopWatching();
        done(error, socket);
      };
      createSocket.call(this, request, options, end);
      const tunnel = this.#latest;
      if (hasEnded || tunnel === undefined || tunnel === null) return;
      (sockets[name] ??= []).push(tunnel);
      // node:http reports neither a tunnel that is closed from here, nor one that opens but behind which nothing answers.
      const late = setTimeout(() => {
        tunnel.destroy();
        end(timeoutError(null));
      }, options.timeout);
      const closed = (): void => end(new TunnelError({ code: 'ECONNRESET' }));
      tunnel.once('close', closed);
      stopWatching = () => {
        clearTimeout(late);
        tunnel.off('close', closed);
        sockets[name] = (sockets[name] ?? []).filter((other) => other !== tunnel);
      };
    }

    override createConnection(options: Options, done: Done): Duplex | null | undefined {
      const connection = super.createConnection(options as Parameters<Agent['createConnection']>[0], (error, socket) => {
        if (error === null || error === undefined) return done(null, socket);
        connection?.destroy(); // node:http leaves it open if the proxy refused
        // node:http reports errors of tunnels to the request by events, which a request of ours does not have.
        if ((error as TunnelFailure).proxyTunnelTimeout !== undefined) done(timeoutError(null));
        else done(socket === connection ? new TunnelError(error) : error);
      });
      this.#latest = connection;
      return connection;
    }
  };
}
