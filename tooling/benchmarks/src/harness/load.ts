import { fork } from 'node:child_process';
import { once } from 'node:events';

import type { LoadJob, LoadReply, LoadResult } from '../load/job.ts';
import type { Bench } from './bench.ts';

/** Runs one job at a time in the load process; rejects when an answer was not as required. */
export type Load = (job: LoadJob) => Promise<LoadResult>;

export function startLoad({ resources }: Bench): Load {
  const child = fork(new URL('../load/main.ts', import.meta.url), { execArgv: [] });
  const ended = once(child, 'exit');
  ended.catch(() => {});
  resources.defer(() => {
    child.kill('SIGKILL');
  });
  return async (job) => {
    child.send(job);
    const reply = await Promise.race([once(child, 'message') as Promise<[LoadReply]>, ended.then(() => undefined)]);
    if (reply === undefined) throw new Error('The load generator ended.');
    if ('error' in reply[0]) throw new Error(reply[0].error);
    return reply[0].result;
  };
}
