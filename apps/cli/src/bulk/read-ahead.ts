/** Elements that are handed out before the array is compacted, which copies what it still holds. */
const compacted = 32;

interface Limits<T> {
  /** The most to hold, in the unit of `sizeOf`; at least one element is held. */
  readonly most: number;
  /** What an element counts for. */
  readonly sizeOf: (element: T) => number;
  /** Called when the source has given its last element. */
  readonly onEnd: () => void;
}

/** Yields the elements of `source`, reading ahead: while workers are busy, the next page of a listing is already being fetched. */
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
