import { mkdtemp, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { testDatabase } from '@coffer/fixtures';
import { prometheusObserver, tenantUsageGauge } from '@coffer/metrics';
import { createRuntime, parseConfig } from '@coffer/runtime';
import type { Runtime } from '@coffer/runtime';
import { pino } from 'pino';
import { Registry } from 'prom-client';

import { tokenVerifier } from '../auth/token-verifier.ts';
import { allObservers, logObserver } from '../observe/log-observer.ts';
import { createApiServer } from '../server.ts';
import { drain } from '../shutdown.ts';
import { secret } from './tokens.ts';

export interface TestApi {
  readonly url: string;
  readonly server: Server;
  readonly runtime: Runtime;
  /** Directory of the local backend's objects. */
  readonly objects: string;
  /** Superuser's URL of the database, for looking behind the API. */
  readonly databaseUrl: string;
  /** What was logged, a parsed line each. */
  readonly log: Record<string, unknown>[];
  stop(): Promise<void>;
}

/** The API in this process on a port of its own, over real HTTP, a real PostgreSQL and the local backend. */
export async function startApi(env: Readonly<Record<string, string>> = {}): Promise<TestApi> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-api-'));
  const database = await testDatabase();
  const port = await freePort();
  const config = parseConfig({
    COFFER_DATA_DIR: directory,
    DATABASE_URL: database.url,
    AUTH_JWT_SECRET: secret,
    PORT: String(port),
    LOG_LEVEL: 'debug',
    ...env,
  });
  const log: Record<string, unknown>[] = [];
  const logger = pino({ level: config.logLevel }, { write: (line: string) => log.push(JSON.parse(line) as Record<string, unknown>) });
  const registry = new Registry();
  const runtime = await createRuntime(config, { observer: allObservers(prometheusObserver({ register: registry }), logObserver(logger)) });
  tenantUsageGauge({ register: registry, collect: () => runtime.tenants.usageSnapshot(1000) });
  const { secret: hs256, jwksUrl, jwksFile, issuer, audience, tenantClaim } = config.auth;
  let stopping = false;
  const server = createApiServer({
    runtime,
    registry,
    log: logger,
    stopping: () => stopping,
    verify: tokenVerifier({
      tenantClaim,
      ...(hs256 !== undefined && { secret: hs256 }),
      ...(jwksUrl !== undefined && { jwksUrl }),
      ...(jwksFile !== undefined && { jwksFile }),
      ...(issuer !== undefined && { issuer }),
      ...(audience !== undefined && { audience }),
    }),
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${port}`,
    server,
    runtime,
    objects: join(directory, 'objects'),
    databaseUrl: database.url,
    log,
    stop: async () => {
      stopping = true;
      await drain(server, 2_000);
      await runtime.close();
      await database.drop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const { createServer } = await import('node:net');
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
