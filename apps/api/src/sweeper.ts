import type { Runtime } from '@coffer/runtime';
import type { Logger } from 'pino';

const intervalMs = 3_600_000;
/** Plus up to as long again, at random, so that processes started together do not all sweep at the same moment. */
const firstDelayMs = 60_000;
const dayInSeconds = 86_400;

/**
 * Cleans up unfinished uploads every hour. Several processes may do so at once.
 * @returns a function that stops it and waits for a running sweep, which needs the database and the storage until then
 */
export function sweepRegularly(runtime: Runtime, log: Logger): () => Promise<void> {
  if (!runtime.config.storage.enabled) return async () => {};
  const controller = new AbortController();
  const { signal } = controller;
  const sweep = async (): Promise<void> => {
    try {
      const files = await runtime.files.sweep({ olderThanSeconds: dayInSeconds }, { signal });
      const among = (buckets: readonly string[]): Promise<readonly string[]> => runtime.tenants.ours(buckets);
      const objects =
        runtime.storage.backend.maintenance === undefined
          ? undefined
          : await runtime.storage.sweep({ olderThan: dayInSeconds, among }, { signal });
      log.debug({ files, objects }, 'swept');
    } catch (error) {
      if (!signal.aborted) log.warn({ err: error }, 'the sweep failed and will be tried again');
    }
  };
  let running: Promise<void> | undefined;
  const begin = (): void => {
    running ??= sweep().finally(() => {
      running = undefined;
    });
  };
  let timer: NodeJS.Timeout | undefined;
  const first = setTimeout(
    () => {
      begin();
      timer = setInterval(begin, intervalMs).unref();
    },
    firstDelayMs * (1 + Math.random()),
  ).unref();
  return async () => {
    clearTimeout(first);
    clearInterval(timer);
    controller.abort();
    await running;
  };
}
