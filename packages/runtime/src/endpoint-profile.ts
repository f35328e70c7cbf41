import type { EndpointProfile } from '@coffer/backend-s3';
import type { CallContext } from '@coffer/storage-core';

import { s3Options } from './backends.ts';
import type { Config } from './config.ts';

/**
 * What the configured S3 endpoint does, found out by trying; undefined with other backends, or when storage is disabled.
 * @param bucket where to try if the credentials may not create a bucket for that
 * @throws the provider's failures, translated; the signal's reason, once what was written for the trial is removed
 */
export async function profileEndpoint({ storage }: Config, bucket?: string, ctx?: CallContext): Promise<EndpointProfile | undefined> {
  if (!storage.enabled || !['s3', 'minio'].includes(storage.backend)) return undefined;
  const { probeEndpoint } = await import('@coffer/backend-s3');
  return probeEndpoint(s3Options(storage), bucket, ctx);
}
