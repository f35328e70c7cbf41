import { hasCode } from '@coffer/storage-core';
import type { CallContext, LifecycleRule } from '@coffer/storage-core';

import { getRules } from './lifecycle.ts';
import type { Store } from './store.ts';

/** Uploads from browsers, and no remains of uploads that nobody ends: each where the server has a rule for it. */
export async function provisionBucket(store: Store, bucket: string, corsOrigins: readonly string[], ctx: CallContext): Promise<void> {
  ctx.signal?.throwIfAborted();
  await Promise.all([setCors(store, bucket, corsOrigins, ctx), abortStaleUploads(store, bucket, ctx)]);
}

async function setCors(store: Store, bucket: string, origins: readonly string[], ctx: CallContext): Promise<void> {
  try {
    await putCors(store, bucket, origins, ctx);
  } catch (error) {
    if (!hasCode(error, 'not_supported')) throw error; // one setting for the whole server
  }
}

export async function putCors(store: Store, bucket: string, origins: readonly string[], ctx: CallContext): Promise<void> {
  const rule = {
    origins,
    methods: ['GET', 'HEAD', 'PUT', 'POST'],
    headers: ['*'],
    exposed: ['ETag', 'Content-Length', 'Content-Range', 'Content-Disposition'],
    maxAge: 3600,
  };
  await store.administration.putCors(bucket, rule, ctx);
}

const staleUploads: LifecycleRule = { id: 'coffer-abort-stale-uploads', prefix: '', abortMultipartDays: 1 };

async function abortStaleUploads(store: Store, bucket: string, ctx: CallContext): Promise<void> {
  if (!(await store.profile(bucket, ctx)).abortRule) return;
  const rules = await getRules(store, bucket, ctx);
  const isSet = rules.some(({ isEnabled, abortMultipartDays, prefix }) => isEnabled && abortMultipartDays !== undefined && prefix === '');
  if (isSet) return;
  await store.administration.putRules(bucket, [...rules.filter(({ id }) => id !== staleUploads.id), staleUploads], ctx);
}
