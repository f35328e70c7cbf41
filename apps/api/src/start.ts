import { ConfigError, parseConfig, StartupError } from '@coffer/runtime';
import type { Config } from '@coffer/runtime';
import { isStorageError } from '@coffer/storage-core';
import type { Logger } from 'pino';

import { welcome } from './banner.ts';
import { freePort } from './listen.ts';
import { createLogger } from './log.ts';
import { serve } from './serve.ts';
import type { Serving } from './serve.ts';
import { setForceStop, stopSignal } from './stop-signals.ts';
import type { StopRequested } from './stop-signals.ts';
import { version } from './version.ts';

async function main(): Promise<void> {
  // oxlint-disable-next-line node/no-process-env -- the one place that hands the environment to the runtime's parser
  const config = await configOf(process.env);
  const log = await createLogger(config.logLevel);
  for (const warning of config.warnings) log.warn(warning);

  const stopRequested = whenAborted(stopSignal).then(() => log.info({ signal: (stopSignal.reason as StopRequested).signal }, 'stopping'));

  const serving = await serve(config, log, stopSignal).catch(async (error: unknown) => {
    if (!stopSignal.aborted) throw error;
    return exit(0, log);
  });
  setForceStop(() => serving.server.closeAllConnections());
  if (!stopSignal.aborted) await announce(config, serving, log);
  await stopRequested;
  try {
    await serving.stop();
    await exit(0, log);
  } catch (error) {
    log.error({ err: error }, 'could not stop cleanly');
    await exit(1, log);
  }
}

async function whenAborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}

async function configOf(env: NodeJS.ProcessEnv): Promise<Config> {
  const config = parseConfig(env);
  return config.server.port === 0 ? parseConfig({ ...env, PORT: String(await freePort(config.server.host)) }) : config;
}

async function announce(config: Config, { generatedSecret }: Serving, log: Logger): Promise<void> {
  const { port, publicUrl: url } = config.server;
  log.info({ version, url, port, backend: config.storage.backend }, 'listening');
  // Tokens are shown to a person or to `npm start`, and never logged.
  if (generatedSecret === undefined || !(process.stdout.isTTY || process.argv.includes('--welcome'))) return;
  process.stdout.on('error', () => {}); // nobody is there to read it
  process.stdout.write(await welcome({ url, secret: generatedSecret, auth: config.auth }));
}

async function exit(code: number, log: Logger): Promise<never> {
  await new Promise<void>((resolve) => log.flush(() => resolve()));
  process.exit(code);
}

main().catch((error: unknown) => {
  if (error instanceof ConfigError) {
    process.stderr.write(`${error.message}\n`);
    process.exit(2);
  }
  const isExpected = error instanceof StartupError || isStorageError(error);
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`${isExpected ? (error as Error).message : `Coffer could not start: ${stack}`}\n`);
  process.exit(1);
});
