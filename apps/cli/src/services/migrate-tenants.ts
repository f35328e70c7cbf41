import type { StrayFile } from '@coffer/files-db';

import type { Follower, Task } from '../bulk/task.ts';
import { runBulk } from './run-bulk.ts';
import type { BulkOptions } from './run-bulk.ts';
import { runtimeOf } from './open-session.ts';
import type { Session } from './open-session.ts';

export interface MigrateRequest extends Pick<BulkOptions, 'concurrency' | 'dryRun'> {
  /** Days to keep the previous objects. */
  readonly keepDays: number;
}

/** Moves tracked files to the buckets of their tenants. */
export async function migrateTenants(session: Session, request: MigrateRequest, follower: Follower<StrayFile>): Promise<void> {
  const { tenantService } = runtimeOf(session);
  const { config, ctx } = session;
  const options = { keepSeconds: request.keepDays * 86_400, provision: config.storage.autoProvision };
  const taskOf = (file: StrayFile): Task<StrayFile> => ({
    subject: { key: file.key },
    bytes: file.sizeBytes,
    preview: () => (file.waits ? [] : [file]),
    async run(running) {
      const result = await tenantService.relocateFile(file, options, ctx);
      if (result !== 'moved') return { done: [], skipped: 1 };
      running.moved(file.sizeBytes);
      return { done: [file] };
    },
  });
  const plan = async function* (): AsyncGenerator<Task<StrayFile>, void, undefined> {
    for await (const file of tenantService.strayFiles()) yield taskOf(file);
  };
  await runBulk(session, plan(), request, follower);
}
