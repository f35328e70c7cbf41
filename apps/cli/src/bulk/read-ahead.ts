/** Elements that are handed out before the array of those that are held is made shorter: that costs a copy of it. */
const compacted = 32;

interface Limits<T> {
  /** How much is held, at least one element. */
  readonly most: number;
  /** How much an element counts for. */
  readonly sizeOf: (element: T) => number;
  /** Called when the source has given its last. */
  readonly onEnd: () => void;
}

/** The elements of `source`, read before they are asked for: while workers are busy, the next page of a listing is under way. */
export async function* readAhead<T>(source: AsyncIterable<T>, { most, sizeOf, onEnd }: Limits<T>): AsyncGenerator<T, void, undefined> {
  const held: (T | undefined)[] = [];
  let first = 0;
  let size = 0;
  let state: { readonly ended: boolean; readonly error?: unknown } = { ended: false };
  let isStopped = false;
  let wakeReader: (() => void) | undefined;
  let wakeWriter: (() => void) | undefined;

  const read = async (): Promise<void> => {
    try {
      for await (const element of source) {
        if (isStopped) return;
        held.push(element);
        size += sizeOf(element);
        wakeReader?.();
        if (size >= most) await new Promise<void>((resolve) => (wakeWriter = resolve));
      }
      onEnd();
      state = { ended: true };
    } catch (error) {
      state = { ended: true, error };
    } finally {
      wakeReader?.();
    }
  };
  const reading = read();
  try {
    for (;;) {
      if (first < held.length) {
        const element = held[first]!;
        held[first++] = undefined;
        size -= sizeOf(element);
        if (first >= compacted) {
          held.splice(0, first);
          first = 0;
        }
        if (size < most / 2) wakeWriter?.();
        yield element;
      } else if (state.ended) {
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
  if ('error' in state) throw state.error;
}
