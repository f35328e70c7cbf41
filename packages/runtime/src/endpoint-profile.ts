import type { EndpointProfile } from '@coffer/backend-s3';

import { s3Options } from './backends.ts';
import type { Config } from './config.ts';

/**
 * What the S3 endpoint of the configuration does, found out by trying; undefined with other backends.
 * @param bucket where to try things out if the credentials may not create a bucket for that
 * @throws what the provider's failures are translated to
 */
export async function profileEndpoint({ storage }: Config, bucket?: string): Promise<EndpointProfile | undefined> {
  if (!storage.enabled || !['s3', 'minio'].includes(storage.backend)) return undefined;
  const { probeEndpoint } = await import('@coffer/backend-s3');
  return probeEndpoint(s3Options(storage), bucket);
}
