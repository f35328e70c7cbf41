import { z } from '@hono/zod-openapi';

import { json, problems } from './responses.ts';
import type { Router } from './router.ts';
import type { Services } from './services.ts';
import type { Access } from './guard.ts';

const access: Access = { role: 'anybody', needsStorage: false };

const CheckSchema = z.object({
  status: z.enum(['up', 'down', 'disabled']),
  latency_ms: z.number().optional(),
  message: z.string().optional(),
});
const DatabaseCheckSchema = CheckSchema.extend({
  read_only: z.boolean().optional().openapi({
    description: 'True while the database accepts no writes: files can be read, but nothing can be uploaded. Otherwise absent.',
  }),
});
type Check = z.output<typeof DatabaseCheckSchema>;
const ReadySchema = z
  .object({ status: z.enum(['ready', 'not_ready', 'stopping']), checks: z.object({ database: DatabaseCheckSchema, storage: CheckSchema }) })
  .openapi('Readiness');
const LiveSchema = z.object({ status: z.literal('live') });

const readyExample = {
  status: 'ready',
  checks: { database: { status: 'up', latency_ms: 1 }, storage: { status: 'up', latency_ms: 1 } },
} as const;
const unreadyExample = {
  status: 'not_ready',
  checks: { database: { status: 'up', latency_ms: 1 }, storage: { status: 'down', latency_ms: 5000, message: 'No answer within 5 s.' } },
} as const;

const readOnlyMessage = 'The database is read-only: files are read, and nothing is uploaded, changed or deleted.';

export function healthRoutes(router: Router, services: Services): void {
  const { runtime } = services;
  const seconds = runtime.config.storage.healthCheckTimeout;
  // Shared until the database answers, which may be long after all callers have given up.
  const check = singleFlight(() => runtime.database.check());
  let failure: unknown;
  const checkedDatabase = singleFlight(() => checkDatabase(check, seconds, (error) => void (failure = error)));
  const checkedStorage = singleFlight(() => checkStorage(services));
  const logChanges = changeLog(services);

  router.add({
    method: 'get',
    path: '/health/live',
    operationId: 'health.live',
    summary: 'Check whether the process runs',
    access,
    tags: ['Operations'],
    responses: { ...json(200, LiveSchema, { description: 'The process runs', example: { status: 'live' } }), ...problems() },
    handler: (c) => c.json({ status: 'live' as const }),
  });

  router.add({
    method: 'get',
    path: '/health/ready',
    operationId: 'health.ready',
    summary: 'Check whether requests can be served',
    access,
    tags: ['Operations'],
    responses: {
      ...json(200, ReadySchema, { description: 'Requests can be served', example: readyExample }),
      ...json(503, ReadySchema, { description: 'Requests cannot be served; the checks say why', example: unreadyExample }),
      ...problems(),
    },
    handler: async (c) => {
      const [database, storage] = await Promise.all([checkedDatabase(), checkedStorage()]);
      logChanges(database, storage, failure);
      const isUp = areUp(database, storage);
      const status = services.stopping() ? 'stopping' : isUp ? 'ready' : 'not_ready';
      return c.json({ status, checks: { database, storage } }, status === 'ready' ? 200 : 503, { 'cache-control': 'no-store' });
    },
  });
}

function areUp(database: Check, storage: Check): boolean {
  return database.status !== 'down' && storage.status !== 'down';
}

/** Logs when the checks begin or cease to fail, and when the database begins or ceases to refuse writes. */
function changeLog({ log }: Services): (database: Check, storage: Check, databaseError: unknown) => void {
  let wasUp = true;
  let wasReadOnly = false;
  return (database, storage, databaseError) => {
    const isUp = areUp(database, storage);
    if (isUp !== wasUp) {
      // The caller needs no token, so it is not told what the database said.
      const why = database.status === 'down' ? { err: databaseError } : {};
      log[isUp ? 'info' : 'warn']({ database, storage, ...why }, isUp ? 'ready again' : 'not ready');
    }
    wasUp = isUp;
    if (database.status !== 'up') return; // nothing is known about writes
    const isReadOnly = database.read_only === true;
    if (isReadOnly !== wasReadOnly)
      log[isReadOnly ? 'warn' : 'info'](isReadOnly ? 'the database takes no writes' : 'the database takes writes again');
    wasReadOnly = isReadOnly;
  };
}

/** Concurrent callers share one check, since no token is needed to call it. */
function singleFlight<T>(check: () => Promise<T>): () => Promise<T> {
  let pending: Promise<T> | undefined;
  return () =>
    (pending ??= check().finally(() => {
      pending = undefined;
    }));
}

/** A read-only database counts as up: all processes share it, and if all were taken out of service, nothing could be read either. */
async function checkDatabase(
  check: () => Promise<{ readonly readOnly: boolean }>,
  seconds: number,
  onFailure: (error: unknown) => void,
): Promise<Check> {
  const started = performance.now();
  let timer: NodeJS.Timeout | undefined;
  try {
    const timedOut = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`No answer within ${seconds} s.`)), seconds * 1000);
    });
    const { readOnly } = await Promise.race([check(), timedOut]);
    const up = { status: 'up', latency_ms: Math.round(performance.now() - started) } as const;
    return readOnly ? { ...up, read_only: true, message: readOnlyMessage } : up;
  } catch (error) {
    onFailure(error);
    return { status: 'down', message: 'The database does not answer.' };
  } finally {
    clearTimeout(timer);
  }
}

async function checkStorage({ runtime }: Services): Promise<Check> {
  const { enabled, healthCheckEnabled } = runtime.config.storage;
  if (!enabled || !healthCheckEnabled) return { status: 'disabled' };
  const { healthy, latencyMs, message } = await runtime.storage.healthCheck();
  return { status: healthy ? 'up' : 'down', latency_ms: latencyMs, ...(message !== undefined && { message }) };
}
