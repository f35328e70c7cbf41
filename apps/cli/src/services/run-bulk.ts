import { runTasks } from '../bulk/run-tasks.ts';
import type { Follower, Plan } from '../bulk/task.ts';
import { withSmallYoungGeneration } from '../bulk/young-generation.ts';
import type { Session } from './open-session.ts';

/** Options of all bulk commands. */
export interface BulkOptions {
  readonly concurrency: number;
  readonly dryRun: boolean;
  /** Patterns of names; see `filterOf`. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

/** Runs a plan, with the retries that are configured. @throws as `runTasks` */
export async function runBulk<R>(
  session: Session,
  plan: Plan<R>,
  options: Pick<BulkOptions, 'concurrency' | 'dryRun'>,
  follower: Follower<R>,
): Promise<void> {
  const { config, ctx } = session;
  const { concurrency, dryRun } = options;
  await withSmallYoungGeneration(() =>
    runTasks(plan, { concurrency, dryRun, follower, retries: config.storage.maxRetries, signal: ctx.signal }),
  );
}
