import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { prometheusObserver, tenantUsageGauge } from '@coffer/metrics';
import { ConfigError, createRuntime, parseConfig } from '@coffer/runtime';
import type { Config } from '@coffer/runtime';
import { isStorageError } from '@coffer/storage-core';
import { collectDefaultMetrics, Registry } from 'prom-client';

import { authOptions } from './auth/auth-options.ts';
import { tokenVerifier } from './auth/token-verifier.ts';
import { welcome } from './banner.ts';
import { createLogger } from './log.ts';
import { listenForMetrics } from './metrics.ts';
import { allObservers, logObserver } from './observe/log-observer.ts';
import { answerError, createApiServer } from './server.ts';
import { drain } from './shutdown.ts';
import { sweepRegularly } from './sweeper.ts';
import { version } from './version.ts';

const drainMs = 25_000;

async function main(): Promise<void> {
  // oxlint-disable-next-line node/no-process-env -- the one place that hands the environment to the runtime's parser
  const config = parseConfig(process.env);
  const log = await createLogger(config.logLevel);
  for (const warning of config.warnings) log.warn(warning);

  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const runtime = await createRuntime(config, {
    observer: allObservers(prometheusObserver({ register: registry }), logObserver(log)),
    onLocalError: answerError,
    log: (message) => log.info(message),
  });
  let stopping = false;
  let server: Server | undefined;
  let metrics: Server | undefined;
  let stopSweeping = (): void => {};

  const stop = async (): Promise<void> => {
    stopping = true;
    stopSweeping();
    if (server?.listening === true) await drain(server, drainMs);
    metrics?.closeAllConnections();
    metrics?.close();
    await runtime.close();
  };
  try {
    tenantUsageGauge({ register: registry, collect: () => runtime.tenants.usageSnapshot(1000) });
    server = createApiServer({ runtime, registry, log, stopping: () => stopping, verify: tokenVerifier(authOptions(config, runtime)) });
    await listen(server, config.server);
    if (config.metrics.port !== undefined) metrics = await listenForMetrics(registry, { host: config.metrics.host, port: config.metrics.port });
    stopSweeping = sweepRegularly(runtime, log);
  } catch (error) {
    await stop();
    throw error;
  }

  const { port } = server.address() as AddressInfo;
  log.info({ version, url: config.server.publicUrl, port, backend: config.storage.backend }, 'listening');
  if (runtime.generatedSecret !== undefined) {
    const { issuer, audience } = config.auth;
    process.stdout.write(
      await welcome({
        url: config.server.publicUrl,
        secret: runtime.generatedSecret,
        ...(issuer !== undefined && { issuer }),
        ...(audience !== undefined && { audience }),
      }),
    );
  }

  let asked = 0;
  const onSignal = (signal: NodeJS.Signals): void => {
    asked += 1;
    if (asked > 1) {
      server?.closeAllConnections();
      return;
    }
    log.info({ signal }, 'stopping');
    stop().then(
      () => exit(0, log),
      (error: unknown) => {
        log.error({ err: error }, 'could not stop cleanly');
        exit(1, log);
      },
    );
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
}

async function listen(server: Server, { host, port }: Config['server']): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EADDRINUSE') {
      throw new StartError(`Port ${port} on ${host} is in use. Stop what listens there, or start on another one: PORT=${port + 1} npm start`);
    }
    if (error.code === 'EACCES') throw new StartError(`Port ${port} on ${host} may not be used by this user; set PORT to one above 1023.`);
    if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND') throw new StartError(`HOST=${host} is no address of this machine.`);
    throw error;
  });
}

class StartError extends Error {}

function exit(code: number, log?: { flush?: (done: () => void) => void }): void {
  if (log?.flush === undefined) process.exit(code);
  log.flush(() => process.exit(code));
}

main().catch((error: unknown) => {
  if (error instanceof ConfigError) {
    process.stderr.write(`${error.message}\n`);
    process.exit(2);
  }
  const expected = error instanceof StartError || isStorageError(error) ? error : undefined;
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`${expected?.message ?? `Coffer could not start: ${stack}`}\n`);
  process.exit(1);
});
