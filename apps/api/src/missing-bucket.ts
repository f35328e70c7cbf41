import type { Runtime } from '@coffer/runtime';
import type { Logger } from 'pino';

/**
 * Warns in the log if the default bucket is missing and nothing creates it, since otherwise only clients are told, who cannot help it.
 * Tenants' buckets and the shared one come and go, so they are not looked at.
 * @returns a function that ends the look, which needs the storage until then
 */
export function reportMissingBucket({ config, storage }: Runtime, log: Logger): () => Promise<void> {
  const { enabled, autoProvision, multiTenancy, bucket } = config.storage;
  if (!enabled || autoProvision || multiTenancy || bucket === undefined) return async () => {};
  const controller = new AbortController();
  const look = async (): Promise<void> => {
    if (await storage.bucketExists(bucket, { signal: controller.signal })) return;
    const advice = `create it with "coffer storage buckets create ${bucket}", or set STORAGE_AUTO_PROVISION=true`;
    log.warn(`STORAGE_BUCKET: there is no bucket "${bucket}": ${advice}`);
  };
  const looked = look().catch(() => {}); // the readiness check tells what is wrong with the storage
  return async () => {
    controller.abort();
    await looked;
  };
}
