import { mkdtemp, rmdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';

import type { Config, Env } from '@coffer/runtime';
import { hasCode, untilAborted } from '@coffer/storage-core';

import { problemOf } from '../problem.ts';
import { bytesText } from '../render/units.ts';
import { failed, failure, notTriedMessage } from './check-result.ts';
import type { Check } from './check-result.ts';
import { endpointChecks } from './endpoint-checks.ts';
import { openSession } from './open-session.ts';
import type { Session, SessionOptions } from './open-session.ts';
import { isBucketOfTenant } from './session-tenant.ts';
import { tryBucket, tryNewBucket } from './try-bucket.ts';

type CheckOptions = Pick<SessionOptions, 'signal' | 'note' | 'bucket' | 'explain'>;

/** An embedded database may have to be started first. */
const startSeconds = 60;

/**
 * Checks everything that the environment configures, and changes none of it: trials use objects and buckets of their own.
 * @throws ConfigError, the signal's reason; other errors are reported in the checks
 */
export async function* runChecks(env: Env, options: CheckOptions): AsyncGenerator<Check, void, undefined> {
  const { parseConfig } = await import('@coffer/runtime');
  const config = parseConfig(env, { serve: false });
  const database = await checkDatabase(config, options);
  yield database;
  if (!config.storage.enabled) {
    yield failed('storage', 'storage_not_configured', 'is switched off (STORAGE_ENABLED=false)');
    return;
  }
  // A tenant's bucket is looked up in the database.
  const isUnknown = isBucketOfTenant(config, options.bucket) && database.status === 'failed';
  const bucket = isUnknown ? config.storage.sharedBucket : options.bucket;
  let session: Session;
  try {
    session = await openSession(env, { ...options, bucket, provision: false });
  } catch (error) {
    if (error instanceof Error && error.name === 'ConfigError') throw error;
    options.signal.throwIfAborted();
    yield failure('storage', error);
    return;
  }
  try {
    yield* checkStorage(session, config, { ...options, isBucketUnknown: isUnknown });
  } finally {
    await session.close();
  }
}

async function checkDatabase(config: Config, { signal, note }: CheckOptions): Promise<Check> {
  const { inspectDatabase } = await import('@coffer/runtime');
  const seconds = config.database.url === undefined ? startSeconds : config.storage.healthCheckTimeout;
  const timeout = AbortSignal.timeout(seconds * 1000);
  try {
    const report = await inspectDatabase(config, { signal: AbortSignal.any([signal, timeout]), log: note, resolveFrom: [import.meta.url] });
    if (report === undefined)
      return { name: 'database', status: 'lacks', message: 'does not exist yet; the first command or server that needs it creates it' };
    const { kind, version, readOnly, pendingMigrations: pending } = report;
    const what = `PostgreSQL ${version}${kind === 'embedded' ? ' (embedded)' : ''}`;
    if (readOnly)
      return failed('database', 'storage_unavailable', `${what}, read-only: no upload, change or deletion of a file can succeed`);
    if (pending.length === 0) return { name: 'database', status: 'ok', message: `${what}, tables up to date` };
    return failed('database', 'storage_unavailable', `${what}, tables not up to date (${pending.join(', ')}): the next start updates them`);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Error && error.name === 'ConfigError') throw error;
    if (timeout.aborted) return failed('database', 'storage_unavailable', `did not answer within ${seconds} s`);
    return failure('database', error);
  }
}

async function* checkStorage(
  session: Session,
  { storage: settings, dataDir }: Config,
  options: CheckOptions & { readonly isBucketUnknown: boolean },
): AsyncGenerator<Check, void, undefined> {
  const { signal } = options;
  const {
    healthy,
    backend,
    latencyMs,
    message = 'fails',
    code = 'storage_unavailable',
  } = await untilAborted(session.storage.healthCheck(), signal);
  if (!healthy) {
    yield failed('provider', code, `${backend}: ${message}`);
    return;
  }
  yield { name: 'provider', status: 'ok', message: `${backend} answered within ${latencyMs} ms` };
  if (settings.backend === 'local') yield* checkDisk(settings.localPath, dataDir);
  let { bucket } = settings;
  if (options.isBucketUnknown) yield failed('bucket', 'storage_unavailable', 'cannot be determined: it is recorded in the database');
  else bucket = (yield* checkBucket(session, settings, options.bucket !== undefined)) ?? bucket;
  signal.throwIfAborted();
  yield* checkEndpoint(session, bucket);
}

async function* checkDisk(path: string, dataDir: string): AsyncGenerator<Check, void, undefined> {
  try {
    await rmdir(await mkdtemp(join(dataDir, '.check-')));
    yield { name: 'data_directory', status: 'ok', message: `${dataDir} is writable` };
  } catch (error) {
    yield failure('data_directory', error);
  }
  try {
    const { bavail, blocks, bsize } = await statfs(path);
    const [free, all] = [bavail * bsize, blocks * bsize];
    const message = `${bytesText(free)} free of ${bytesText(all)}`;
    yield free > 0 ? { name: 'disk', status: 'ok', message } : failed('disk', 'disk_full', message);
  } catch (error) {
    yield failure('disk', error);
  }
}

/** @returns the bucket, if it exists */
async function* checkBucket(
  session: Session,
  settings: Config['storage'],
  isNamed: boolean,
): AsyncGenerator<Check, string | undefined, undefined> {
  const { storage, ctx } = session;
  let bucket: string;
  try {
    bucket = await session.bucket();
  } catch (error) {
    ctx.signal.throwIfAborted();
    const isMissing = hasCode(error, 'storage_not_configured', 'tenant_context_required');
    yield isMissing ? { name: 'bucket', status: 'lacks', message: problemOf(error).message } : failure('bucket', error);
    return undefined;
  }
  try {
    const { region, versioningEnabled } = await storage.getBucketInfo(bucket, ctx);
    yield { name: 'bucket', status: 'ok', message: `${bucket} in ${region}${versioningEnabled ? ', keeps versions' : ''}` };
    if (versioningEnabled)
      yield { name: 'round_trip', status: 'ok', message: 'not tried out: the bucket would keep a version of the test object' };
    else yield await attempt('round_trip', session, () => tryBucket(session, bucket));
    return bucket;
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (hasCode(error, 'not_supported')) {
      yield { name: 'bucket', status: 'lacks', message: `${bucket}: the backend can neither describe nor create buckets` };
      yield await attempt('round_trip', session, () => tryBucket(session, bucket));
      return bucket;
    }
    // A bucket named with --bucket is created by `buckets create` only.
    if (!hasCode(error, 'no_such_bucket') || !settings.autoProvision || isNamed) {
      yield failure('bucket', error);
      return undefined;
    }
    yield { name: 'bucket', status: 'ok', message: `${bucket} will be created on first use` };
    const result = await attempt('round_trip', session, () => tryNewBucket(session));
    // The test bucket has another name, and the credentials may be limited to some names.
    yield result.code === 'access_denied' ? { name: result.name, status: 'unknown', message: notTriedMessage } : result;
    return undefined;
  }
}

async function* checkEndpoint({ config, ctx }: Session, bucket: string | undefined): AsyncGenerator<Check, void, undefined> {
  const { profileEndpoint } = await import('@coffer/runtime');
  try {
    const profile = await profileEndpoint(config, bucket, ctx);
    if (profile !== undefined) yield* endpointChecks(profile);
  } catch (error) {
    ctx.signal.throwIfAborted();
    // There is no bucket to test in, and none may be created.
    const isNowhere = hasCode(error, 'no_such_bucket') || (bucket === undefined && hasCode(error, 'access_denied'));
    yield isNowhere ? { name: 'endpoint', status: 'unknown', message: notTriedMessage } : failure('endpoint', error);
  }
  ctx.signal.throwIfAborted();
}

async function attempt(name: string, { ctx }: Session, run: () => Promise<string>): Promise<Check> {
  try {
    return { name, status: 'ok', message: await run() };
  } catch (error) {
    ctx.signal.throwIfAborted();
    return failure(name, error);
  }
}
