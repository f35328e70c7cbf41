import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** Bytes, of both halves together. What survives of some hundred concurrent requests fits. */
const maxBytes = 8 * 2 ** 20;
const checkIntervalMs = 50;

/**
 * Runs `work`, and keeps V8 from growing the memory for new objects to 64 MiB, as it does when many of them are in use for a moment:
 * a command that is as fast with 8 MiB should not take more. Node has an option for it, but a program cannot set that portably when
 * it starts. A V8 that does not read this flag while it runs just grows as before.
 */
export async function withSmallYoungGeneration(work: () => Promise<void>): Promise<void> {
  const timer = setInterval(() => {
    const { space_size: size = 0 } = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space') ?? {};
    if (size < maxBytes) return;
    setFlagsFromString('--semi-space-growth-factor=1');
    clearInterval(timer);
  }, checkIntervalMs).unref();
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
}
