import type { Runtime } from '@coffer/runtime';
import type { Logger } from 'pino';

const everyMs = 3_600_000;
/** And up to as long again: processes that were started together shall not all sweep at the same moment. */
const firstAfterMs = 60_000;
const dayInSeconds = 86_400;

/** Cleans up hourly what uploads left unfinished. Several processes may do so at once. @returns how to end it */
export function sweepRegularly(runtime: Runtime, log: Logger): () => void {
  if (!runtime.config.storage.enabled) return () => {};
  let running = false;
  const sweep = async (): Promise<void> => {
    if (running) return;
    running = true;
    try {
      const files = await runtime.files.sweep({ olderThanSeconds: dayInSeconds });
      const among = (buckets: readonly string[]): Promise<readonly string[]> => runtime.tenants.ours(buckets);
      const objects =
        runtime.storage.backend.maintenance === undefined ? undefined : await runtime.storage.sweep({ olderThan: dayInSeconds, among });
      log.debug({ files, objects }, 'swept');
    } catch (error) {
      log.warn({ err: error }, 'the sweep failed and will be tried again');
    } finally {
      running = false;
    }
  };
  let timer: NodeJS.Timeout | undefined;
  const first = setTimeout(
    () => {
      void sweep();
      timer = setInterval(() => void sweep(), everyMs).unref();
    },
    firstAfterMs * (1 + Math.random()),
  ).unref();
  return () => {
    clearTimeout(first);
    clearInterval(timer);
  };
}
