import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { prometheusObserver, tenantUsageGauge } from '@coffer/metrics';
import { createRuntime } from '@coffer/runtime';
import type { Config } from '@coffer/runtime';
import type { Logger } from 'pino';
import { collectDefaultMetrics, Registry } from 'prom-client';

import { authOptions } from './auth/auth-options.ts';
import { tokenVerifier } from './auth/token-verifier.ts';
import { listen } from './listen.ts';
import { metricsServer } from './metrics.ts';
import { reportMissingBucket } from './missing-bucket.ts';
import { allObservers, logObserver } from './observe/log-observer.ts';
import { answerError } from './responses.ts';
import { createApiServer } from './server.ts';
import { closeNow, drainOf } from './shutdown.ts';
import { sweepRegularly } from './sweeper.ts';

const drainMs = 25_000;
const idleMs = 1000;

export interface Serving {
  readonly server: Server;
  /** Set when Coffer generated the secret for tokens itself. */
  readonly generatedSecret?: Uint8Array;
  /** Finishes requests in flight, for at most 25 seconds, then stops everything that was started, PostgreSQL last. */
  stop(): Promise<void>;
}

/**
 * Starts everything that the configuration describes; resolves once the server listens.
 * @param signal aborting it stops what has been started so far
 * @throws ConfigError, StartupError, the reason of `signal`; nothing is left running then
 */
export async function serve(config: Config, log: Logger, signal: AbortSignal): Promise<Serving> {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const runtime = await createRuntime(config, {
    observer: allObservers(prometheusObserver({ register: registry }), logObserver(log)),
    onLocalError: answerError,
    log: (message) => log.info(message),
    signal,
  });
  let stopping = false;
  const started: (() => Promise<void> | void)[] = [() => runtime.close()];
  const stop = async (): Promise<void> => {
    stopping = true;
    for (const end of started.splice(0).reverse()) await end();
  };
  try {
    tenantUsageGauge({
      register: registry,
      collect: () => runtime.tenants.usageSnapshot(1000),
      onError: (error) => log.warn({ err: error }, 'no usage of tenants'),
    });
    const { port, host } = config.metrics;
    if (port !== undefined) {
      const metrics = metricsServer(registry, log);
      await listen(metrics, { host, port, variable: 'METRICS_PORT' });
      started.push(() => closeNow(metrics));
      log.info({ host, port: (metrics.address() as AddressInfo).port }, 'metrics listening');
    }
    const verify = tokenVerifier(authOptions(config, runtime));
    const server = createApiServer({ runtime, registry, log, stopping: () => stopping, verify });
    const drain = drainOf(server);
    await listen(server, { ...config.server, variable: 'PORT' });
    const endSweeps = sweepRegularly(runtime, log);
    const endLook = reportMissingBucket(runtime, log);
    started.push(async () => void (await Promise.all([endSweeps(), endLook(), drain(drainMs, idleMs)])));
    return { server, ...(runtime.generatedSecret !== undefined && { generatedSecret: runtime.generatedSecret }), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
