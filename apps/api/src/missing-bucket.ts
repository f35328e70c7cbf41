import { setTimeout as delay } from 'node:timers/promises';

import type { Runtime } from '@coffer/runtime';
import { isStorageError } from '@coffer/storage-core';
import type { Logger } from 'pino';

const longestPauseMs = 60_000;

/**
 * Warns in the log if the default bucket is missing and nothing creates it, since otherwise only clients are told, who cannot help it.
 * Tenants' buckets and the shared one come and go, so they are not looked at.
 * @returns a function that ends the look, which needs the storage until then
 */
export function reportMissingBucket({ config, storage }: Runtime, log: Logger): () => Promise<void> {
  const { enabled, autoProvision, multiTenancy, bucket } = config.storage;
  if (!enabled || autoProvision || multiTenancy || bucket === undefined) return async () => {};
  const controller = new AbortController();
  const { signal } = controller;
  const advice = `create it with "coffer storage buckets create ${bucket}", or set STORAGE_AUTO_PROVISION=true`;
  const look = async (): Promise<void> => {
    for (let pauseMs = 1000; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
      try {
        if (!(await storage.bucketExists(bucket, { signal }))) log.warn(`STORAGE_BUCKET: there is no bucket "${bucket}": ${advice}`);
        return;
      } catch (error) {
        if (!isStorageError(error) || !error.retryable) return; // the readiness check tells what is wrong with the storage
      }
      await delay(pauseMs, undefined, { signal, ref: false }); // the provider may start later than this process
    }
  };
  const looked = look().catch(() => {}); // it was ended
  return async () => {
    controller.abort();
    await looked;
  };
}
