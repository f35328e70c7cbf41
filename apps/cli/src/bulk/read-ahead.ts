/** Elements that are handed out before the array is compacted, which copies what it still holds. */
const compactAfter = 32;

interface Limits<T> {
  /** The most to hold, in the unit of `sizeOf`; at least one element is held. */
  readonly maxSize: number;
  /** What an element counts for. */
  readonly sizeOf: (element: T) => number;
}

/** Yields the elements of `source`, reading ahead: while workers are busy, the next page of a listing is already being fetched. */
export async function* readAhead<T>(source: AsyncIterable<T>, { maxSize, sizeOf }: Limits<T>): AsyncGenerator<T, void, undefined> {
  const buffer: (T | undefined)[] = [];
  let head = 0;
  let size = 0;
  let isEnded = false;
  let isStopped = false;
  let wakeReader: (() => void) | undefined;
  let wakeWriter: (() => void) | undefined;

  const read = async (): Promise<void> => {
    try {
      for await (const element of source) {
        if (isStopped) return;
        buffer.push(element);
        size += sizeOf(element);
        wakeReader?.();
        if (size >= maxSize) await new Promise<void>((resolve) => (wakeWriter = resolve));
      }
    } finally {
      isEnded = true;
      wakeReader?.();
    }
  };
  const reading = read();
  reading.catch(() => {}); // an error is thrown below, after the elements before it
  try {
    for (;;) {
      if (head < buffer.length) {
        const element = buffer[head]!;
        buffer[head++] = undefined;
        size -= sizeOf(element);
        if (head >= compactAfter) {
          buffer.splice(0, head);
          head = 0;
        }
        if (size < maxSize / 2) wakeWriter?.();
        yield element;
      } else if (isEnded) {
        break;
      } else {
        await new Promise<void>((resolve) => (wakeReader = resolve));
      }
    }
  } finally {
    isStopped = true;
    wakeWriter?.();
  }
  await reading;
}
