/** Bytes, of both halves. What survives of some hundred requests under way has room in it. */
const enough = 8 * 2 ** 20;
const everyMs = 50;

/**
 * Does the work while keeping V8 from letting the memory for new objects grow to 64 MiB, as it does when many of them are in use for a moment:
 * a command that takes as long with 8 shall not take as much memory. Node has an option for it, which the start of a program
 * cannot give portably; a V8 that does not look at this flag while it runs just goes on to grow.
 */
export async function withSmallYoungGeneration(work: () => Promise<void>): Promise<void> {
  const timer = setInterval(() => {
    const { getHeapSpaceStatistics, setFlagsFromString } = process.getBuiltinModule('node:v8');
    const { space_size: size = 0 } = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space') ?? {};
    if (size < enough) return;
    setFlagsFromString('--semi-space-growth-factor=1');
    clearInterval(timer);
  }, everyMs).unref();
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
}
