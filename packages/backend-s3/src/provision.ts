import { PutBucketCorsCommand } from '@aws-sdk/client-s3';
import { hasCode } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';

import { call } from './call.ts';
import { getRules, putRules, ruleTo } from './lifecycle.ts';
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
  const command = new PutBucketCorsCommand({
    Bucket: bucket,
    CORSConfiguration: {
      CORSRules: [
        {
          AllowedOrigins: [...origins],
          AllowedMethods: ['GET', 'HEAD', 'PUT', 'POST'],
          AllowedHeaders: ['*'],
          ExposeHeaders: ['ETag', 'Content-Length', 'Content-Range', 'Content-Disposition'],
          MaxAgeSeconds: 3600,
        },
      ],
    },
  });
  await call({ bucket, permission: 's3:PutBucketCORS' }, ctx, async (options) => (await store.sdk()).client.send(command, options));
}

const staleUploads = ruleTo({ id: 'coffer-abort-stale-uploads', prefix: '', abortMultipartDays: 1 });

async function abortStaleUploads(store: Store, bucket: string, ctx: CallContext): Promise<void> {
  if (!(await store.profile(bucket)).abortRule) return;
  const rules = await getRules(store, bucket, ctx);
  const isSet = rules.some(
    (rule) =>
      rule.Status === 'Enabled' && rule.AbortIncompleteMultipartUpload !== undefined && (rule.Filter?.Prefix ?? rule.Prefix ?? '') === '',
  );
  if (!isSet) await putRules(store, bucket, [...rules.filter((rule) => rule.ID !== staleUploads.ID), staleUploads], ctx);
}
