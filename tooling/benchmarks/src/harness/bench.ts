import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a benchmark is handed. */
export interface Bench {
  /** Everything that was started: ended in reverse order when the benchmark is over, has failed or is interrupted. */
  readonly resources: AsyncDisposableStack;
  /** How often each figure is taken. */
  readonly rounds: number;
  /** Flags of the API server's Node. */
  readonly nodeFlags: readonly string[];
  /** Where the API server writes CPU profiles. */
  readonly profileDirectory: string | undefined;
  /** `startup` only: measures several starts of a bare clone. */
  readonly cold: boolean;
  /** `s3-api` only: small bodies, and fewer of them. */
  readonly quick: boolean;
  /** The cells to measure, or the store; all, or Ceph, when it is empty. */
  readonly cells: readonly string[];
  /** `soak` only: how long. */
  readonly minutes: number;
}

/** A folder on disk (not in memory: syncing is part of what is measured) that goes with the benchmark. */
export async function scratch({ resources }: Bench, name: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), `coffer-bench-${name}-`));
  resources.defer(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }));
  return directory;
}
