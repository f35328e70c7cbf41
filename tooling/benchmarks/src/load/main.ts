// The load generator: a process of its own, so that its CPU time and memory do not count as the server's.
import type { LoadJob, LoadReply, LoadResult } from './job.ts';
import { requests } from './requests.ts';
import { download, upload } from './transfers.ts';

function run(job: LoadJob): Promise<LoadResult> {
  switch (job.kind) {
    case 'upload':
      return upload(job);
    case 'download':
      return download(job);
    case 'requests':
      return requests(job);
  }
}

process.on('message', (job: LoadJob) => {
  run(job).then(
    (result) => process.send?.({ result } satisfies LoadReply),
    (error: unknown) => process.send?.({ error: error instanceof Error ? error.message : String(error) } satisfies LoadReply),
  );
});
process.once('disconnect', () => process.exit(0));
