/**
 * The elements of `source`, read before they are asked for: while workers are busy, the next page of a listing is under way.
 * @param most how many are held
 * @param onEnd called when `source` has given its last
 */
export async function* readAhead<T>(source: AsyncIterable<T>, most: number, onEnd: () => void): AsyncGenerator<T, void, undefined> {
  const held: T[] = [];
  let first = 0;
  let state: { readonly ended: boolean; readonly error?: unknown } = { ended: false };
  let isStopped = false;
  let wakeReader: (() => void) | undefined;
  let wakeWriter: (() => void) | undefined;

  const read = async (): Promise<void> => {
    try {
      for await (const element of source) {
        if (isStopped) return;
        held.push(element);
        wakeReader?.();
        if (held.length - first >= most) await new Promise<void>((resolve) => (wakeWriter = resolve));
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
        const element = held[first++]!;
        if (first >= most) {
          held.splice(0, first);
          first = 0;
        }
        if (held.length - first < most / 2) wakeWriter?.();
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
