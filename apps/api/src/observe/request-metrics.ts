import { Histogram } from 'prom-client';
import type { Registry } from 'prom-client';

import { statusOf } from '../exchange.ts';
import type { Exchange } from '../exchange.ts';

/** Upper bounds in seconds, the same as for storage operations. */
const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** Durations kept per time series until the metrics are read. */
const maxDurations = 256;
// The status that nginx logs for a client that left before it was answered.
const clientClosedRequest = 499;

interface Tally {
  readonly labels: Readonly<Record<'method' | 'route' | 'status_code', string>>;
  readonly seconds: number[];
}

/**
 * Registers `http_request_duration_seconds{method,route,status_code}` and returns a function that counts a finished request. Clients cannot
 * choose any label: the parser knows the methods, and paths without a route are all `none`.
 */
export function requestMetrics(register: Registry): (exchange: Exchange) => void {
  const tallies = new Map<string, Tally>();
  const emit = ({ labels, seconds }: Tally): void => {
    for (const each of seconds.splice(0)) histogram.observe(labels, each);
  };
  // Batched, because prom-client builds a string from the labels at each observation, several percent of a small request.
  const histogram = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Seconds until a request was answered to its last byte.',
    labelNames: ['method', 'route', 'status_code'],
    buckets,
    registers: [register],
    collect: () => tallies.forEach(emit),
  });

  return (exchange) => {
    const { route = 'none', startedAt } = exchange;
    const { method = 'none' } = exchange.incoming;
    const status = reportedStatus(exchange);
    const series = `${method} ${status} ${route}`;
    let tally = tallies.get(series);
    if (tally === undefined) tallies.set(series, (tally = { labels: { method, route, status_code: String(status) }, seconds: [] }));
    if (tally.seconds.push((performance.now() - startedAt) / 1000) >= maxDurations) emit(tally);
  };
}

/** The status that the client received: one that reset its connection within the body no longer receives the error, and counts as gone. */
function reportedStatus(exchange: Exchange): number {
  const { outgoing, refusalStatus } = exchange;
  const status = statusOf(exchange) ?? clientClosedRequest;
  const isUndelivered = status >= 400 && refusalStatus === undefined && !outgoing.writableFinished;
  return isUndelivered ? clientClosedRequest : status;
}
