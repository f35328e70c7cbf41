import { randomBytes } from 'node:crypto';

import type { S3Server } from '@coffer/fixtures';
import type { StorageService } from '@coffer/storage-core';
import { describe } from 'vitest';

import { backends } from './backends.ts';
import type { Abilities } from './backends.ts';
import { startApi } from './start-api.ts';
import type { TestApi } from './start-api.ts';
import { filesBelow, heldByS3 } from './stored.ts';

/** What a suite gets for the backend it runs on. */
export interface OnBackend {
  /** Starts the API on this backend; the name of every bucket it creates by itself starts with the prefix that `bucket` adds. */
  start(env?: Readonly<Record<string, string>>): Promise<ApiOnBackend>;
  /** A bucket name that no other suite uses: for `acme-uploads`, the bucket of the tenant `acme`. */
  bucket(name: string): string;
  readonly abilities: Abilities;
  /** The `backend` label in metrics and logs. */
  readonly label: string;
  /** The server of an S3 backend. */
  readonly server: S3Server | undefined;
}

export interface ApiOnBackend extends TestApi {
  /** Everything that the provider holds for this API, including parts of unfinished uploads: shows whether anything was left behind. */
  stored(): Promise<readonly string[]>;
}

/** Runs a suite of the API on each backend. Only the environment differs, and what is expected where an ability is missing. */
export function onEachBackend(what: string, suite: (on: OnBackend) => void): void {
  for (const { title, label, env, abilities, server, missing, required } of backends) {
    const prefix = `t${randomBytes(4).toString('hex')}-`;
    const bucket = (name: string): string => prefix + name;
    const names = {
      STORAGE_BUCKET: bucket('coffer-uploads'),
      STORAGE_SHARED_BUCKET: bucket('staging-uploads'),
      STORAGE_BUCKET_NAMING_PATTERN: bucket('{tenant_slug}-uploads'),
    };
    const start = async (more: Readonly<Record<string, string>> = {}): Promise<ApiOnBackend> => {
      if (missing !== undefined) throw new Error(missing);
      const api = await startApi({ ...names, ...env, ...more });
      return {
        ...api,
        stored: () => (server === undefined ? filesBelow(api.objects) : heldByS3(server, prefix)),
        stop: async () => {
          try {
            if (server !== undefined) await removeBuckets(api.runtime.storage, prefix);
          } finally {
            await api.stop();
          }
        },
      };
    };
    describe.skipIf(missing !== undefined && !required)(`${what}, on ${title}${missing === undefined ? '' : `: ${missing}`}`, () => {
      suite({ start, bucket, abilities, label, server });
    });
  }
}

/** Only this suite's, because other suites share the server. */
async function removeBuckets(storage: StorageService, prefix: string): Promise<void> {
  const buckets = (await storage.listBuckets()).filter(({ name }) => name.startsWith(prefix));
  await Promise.all(buckets.map(({ name }) => storage.deleteBucket(name, { force: true })));
}

/** Tests for backends that have, or lack, some ability. On the others they do not exist, instead of being skipped. */
export function where(applies: boolean, tests: () => void): void {
  if (applies) tests();
}
