import type { Answer, LoadJob, LoadResult } from '../load/job.ts';
import type { Load } from './load.ts';
import { cpuSeconds } from './process-figures.ts';
import type { ServerProcess } from './servers.ts';
import { asAdmin, asUser } from './token.ts';

/** In bytes. Bodies and tables use the same unit. */
export const mebibyte = 2 ** 20;

/** The result of a job, with the server's CPU time. */
export interface Measured extends LoadResult {
  /** CPU seconds of the server process. */
  readonly cpu: number;
}

/** Runs a job against a server. */
export async function measured(load: Load, server: ServerProcess, job: LoadJob): Promise<Measured> {
  const before = cpuSeconds(server.pid);
  const result = await load(job);
  return { ...result, cpu: cpuSeconds(server.pid) - before };
}

/** The API's transfers as jobs. */
export async function apiJobs(url: string) {
  const user = await asUser();
  const admin = await asAdmin();
  return {
    form: (size: number, options: { readonly announced?: boolean; readonly parallel?: number } = {}): LoadJob => ({
      kind: 'upload',
      url: `${url}/api/v1/files/upload`,
      method: 'POST',
      framing: 'form',
      headers: user,
      size,
      announced: options.announced ?? true,
      parallel: options.parallel ?? 1,
      verify: ['size_bytes', 'sha256'],
    }),
    put: (size: number): LoadJob => ({
      kind: 'upload',
      url: `${url}/api/v1/storage/objects/bench/raw-{index}.bin`,
      method: 'PUT',
      framing: 'raw',
      headers: admin,
      size,
      announced: true,
      parallel: 1,
      verify: ['size_bytes', 'etag'],
    }),
    download: (id: string | undefined, size: number): LoadJob => ({
      kind: 'download',
      url: `${url}/api/v1/files/${id}/download`,
      headers: user,
      size,
      skip: 0,
    }),
    /** Deletes uploaded files and objects, so that a benchmark needs little disk and no write has to delete an older object as well. */
    remove: async (uploaded: readonly Answer[]): Promise<void> => {
      for (const { id, key } of uploaded) {
        const path = id === undefined ? `storage/objects/${key}` : `files/${id}`;
        const { status } = await fetch(`${url}/api/v1/${path}`, { method: 'DELETE', headers: id === undefined ? admin : user });
        if (status !== 204) throw new Error(`What was uploaded could not be deleted: ${status}.`);
      }
    },
  };
}
