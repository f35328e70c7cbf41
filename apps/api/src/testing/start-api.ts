import { mkdtemp, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { connectDatabase, migrateDatabase } from '@coffer/files-db';
import { testDatabase } from '@coffer/fixtures';
import { prometheusObserver, tenantUsageGauge } from '@coffer/metrics';
import { createRuntime, parseConfig } from '@coffer/runtime';
import type { Runtime } from '@coffer/runtime';
import { pino } from 'pino';
import { Registry } from 'prom-client';

import { tokenVerifier } from '../auth/token-verifier.ts';
import { authOptions } from '../auth/auth-options.ts';
import { listen } from '../listen.ts';
import { allObservers, logObserver } from '../observe/log-observer.ts';
import { answerError } from '../responses.ts';
import { createApiServer } from '../server.ts';
import { drainOf } from '../shutdown.ts';
import type { Drain } from '../shutdown.ts';
import { undocumented } from './documented.ts';
import { send } from './send.ts';
import type { Answer, SendOptions } from './send.ts';
import { secret } from './tokens.ts';

export interface TestApi {
  readonly url: string;
  readonly server: Server;
  readonly drain: Drain;
  readonly runtime: Runtime;
  readonly registry: Registry;
  /** Directory of the local backend's objects. */
  readonly objects: string;
  readonly dataDir: string;
  /** Superuser's URL of the database, for looking behind the API. */
  readonly databaseUrl: string;
  /** The log, one parsed line each. */
  readonly log: Record<string, unknown>[];
  /** From now on the process counts as stopping. */
  beginStopping(): void;
  send(method: string, path: string, options?: SendOptions): Promise<Answer>;
  /** Fails if a route gave an answer that the OpenAPI document lacks. */
  stop(): Promise<void>;
}

/** Runs the API in this process on its own port, over real HTTP, with a real PostgreSQL and, by default, the local backend. */
export async function startApi(env: Readonly<Record<string, string>> = {}): Promise<TestApi> {
  const dataDir = await mkdtemp(join(tmpdir(), 'coffer-api-'));
  const database = await testDatabase({ template: { name: 'coffer-api', prepare: migrated } });
  const { port, release } = await heldPort();
  const config = parseConfig({
    COFFER_DATA_DIR: dataDir,
    DATABASE_URL: database.url,
    ...(!('AUTH_JWKS_FILE' in env || 'AUTH_JWKS_URL' in env) && { AUTH_JWT_SECRET: secret }),
    PORT: String(port),
    LOG_LEVEL: 'debug',
    ...env,
  });
  const log: Record<string, unknown>[] = [];
  const logger = pino({ level: config.logLevel }, { write: (line: string) => log.push(JSON.parse(line) as Record<string, unknown>) });
  const registry = new Registry();
  const runtime = await createRuntime(config, {
    observer: allObservers(prometheusObserver({ register: registry }), logObserver(logger)),
    onLocalError: answerError,
  });
  tenantUsageGauge({ register: registry, collect: () => runtime.tenants.usageSnapshot(1000) });
  let stopping = false;
  const server = createApiServer({
    runtime,
    registry,
    log: logger,
    stopping: () => stopping,
    verify: tokenVerifier(authOptions(config, runtime)),
  });
  const drain = drainOf(server);
  await release();
  await listen(server, { host: '127.0.0.1', port, variable: 'PORT' });
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    server,
    drain,
    runtime,
    registry,
    objects: join(dataDir, 'objects'),
    dataDir,
    databaseUrl: database.url,
    log,
    beginStopping: () => {
      stopping = true;
    },
    send: (method, path, options) => send(url, method, path, options),
    stop: async () => {
      const missing = server.listening ? await undocumented(url, log) : [];
      stopping = true;
      if (server.listening) await drain(2_000);
      await runtime.close();
      await database.drop();
      await rm(dataDir, { recursive: true, force: true });
      if (missing.length > 0) throw new Error(`Not in the OpenAPI document:\n${missing.join('\n')}`);
    },
  };
}

/** A port that nobody else gets until it is released. URLs are signed before the server listens, so the port must be known by then. */
async function heldPort(): Promise<{ readonly port: number; release(): Promise<void> }> {
  const holder = createServer().unref();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  return {
    port: (holder.address() as AddressInfo).port,
    release: () => new Promise((resolve) => holder.close(() => resolve())),
  };
}

async function migrated(url: string): Promise<void> {
  const database = connectDatabase({ url });
  await migrateDatabase(database);
  await database.close();
}
