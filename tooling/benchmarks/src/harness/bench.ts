import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a benchmark receives. */
export interface Bench {
  /** Everything that was started: disposed in reverse order when the benchmark ends, fails or is interrupted. */
  readonly resources: AsyncDisposableStack;
  /** How often each figure is taken. */
  readonly rounds: number;
  /** Node flags of the API server. */
  readonly nodeFlags: readonly string[];
  /** Where the API server writes CPU profiles. */
  readonly profileDirectory: string | undefined;
  /** `startup` only: measures several starts of a fresh clone. */
  readonly cold: boolean;
  /** `s3-api` and `cli` only: smaller bodies, and fewer of them. */
  readonly quick: boolean;
  /** The cells to measure, or the store; if empty, all cells, or Ceph. */
  readonly cells: readonly string[];
  /** `soak` only: its duration in minutes. */
  readonly minutes: number;
}

/** A folder that is deleted with the benchmark. It is on disk, not in memory, because syncing is part of what is measured. */
export async function scratch({ resources }: Bench, name: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), `coffer-bench-${name}-`));
  resources.defer(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }));
  return directory;
}
