import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** One request and what is known about it while it runs. Lives on Node's own objects, below any framework. */
export interface Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly requestId: string;
  readonly startedAt: number;
  /** The path exactly as in the request line: nothing decoded, nothing collapsed. */
  readonly path: string;
  /** What follows the question mark in the request line; empty if there is none. */
  readonly query: string;
  /** Aborted when the client goes away before it was answered. */
  readonly signal: AbortSignal;
  /** Settles when the handler has ended, which may be after the client left: a cut upload undoes what it wrote. */
  handled?: Promise<unknown>;
  /** Path of the route as documented, with `{name}` for parameters; unset if no route matches. */
  route?: string;
  /** For the log line. */
  operation?: string;
  subject?: string;
  tenant?: string;
  error?: unknown;
  /** Status of an answer that was sent bypassing `outgoing`. */
  refusalStatus?: number;
}

const safeRequestId = /^[A-Za-z0-9._:@/+=-]{1,128}$/;
// Handlers outside the framework, and their errors, find the exchange on Node's response.
const exchangeKey = Symbol('exchange');
type Carrier = ServerResponse & { [exchangeKey]?: Exchange };

export function beginExchange(incoming: IncomingMessage, outgoing: ServerResponse): Exchange {
  const offered = incoming.headers['x-request-id'];
  const requestId = typeof offered === 'string' && safeRequestId.test(offered) ? offered : randomUUID();
  const controller = new AbortController();
  outgoing.once('close', () => {
    if (!outgoing.writableFinished) controller.abort(new Error('The client went away.'));
  });
  outgoing.setHeader('x-request-id', requestId);
  outgoing.setMaxListeners(20); // several layers each listen for the end of an answer
  const exchange: Exchange = {
    incoming,
    outgoing,
    requestId,
    startedAt: performance.now(),
    signal: controller.signal,
    ...parseTarget(incoming),
  };
  (outgoing as Carrier)[exchangeKey] = exchange;
  return exchange;
}

/** Undefined for a request whose turn has not come. */
export function findExchange(outgoing: ServerResponse): Exchange | undefined {
  return (outgoing as Carrier)[exchangeKey];
}

/** The exchange that `beginExchange` began on this response. @throws Error if there is none */
export function exchangeOf(outgoing: ServerResponse): Exchange {
  const exchange = findExchange(outgoing);
  if (exchange === undefined) throw new Error('No exchange was begun on this response.');
  return exchange;
}

/** The status that the client was sent; undefined when it left before that. */
export function statusOf({ outgoing, refusalStatus }: Exchange): number | undefined {
  return outgoing.headersSent ? outgoing.statusCode : refusalStatus;
}

function parseTarget({ url = '/' }: IncomingMessage): { readonly path: string; readonly query: string } {
  // Absolute form, as a proxy sends it: RFC 9112, section 3.2.2.
  const target = url.startsWith('/') ? url : url.replace(/^https?:\/\/[^/?]*/i, '');
  const question = target.indexOf('?');
  const path = question === -1 ? target : target.slice(0, question);
  return { path: path === '' ? '/' : path, query: question === -1 ? '' : target.slice(question + 1) };
}
