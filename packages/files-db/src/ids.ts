import { randomUUID } from 'node:crypto';

/**
 * Creates UUIDs of version 7 in ascending order, even within a millisecond and when the clock is set back: the bits after the time start at
 * random in each millisecond, and then count up.
 * @see RFC 9562, sections 5.7 and 6.2
 */
export function createIdGenerator(clock: () => number = Date.now): () => string {
  let last = 0;
  let counter = 0;
  return () => {
    const now = clock();
    // Node caches random bits for many of them. The variant, just before the last 62 bits, is the same in all versions.
    const random = randomUUID();
    if (now > last) {
      last = now;
      counter = Number.parseInt(random.slice(0, 3), 16) & 0x7ff; // leaves half of the range for counting
    } else if (++counter > 0xfff) {
      last++; // over 2,048 ids in a millisecond: borrow from the next one
      counter = 0;
    }
    const time = last.toString(16).padStart(12, '0');
    return `${time.slice(0, 8)}-${time.slice(8)}-7${counter.toString(16).padStart(3, '0')}-${random.slice(19)}`;
  };
}

/** Before all other ids. */
export const lowestId = '00000000-0000-0000-0000-000000000000';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The id in lower case; undefined if it is not a UUID. */
export function parseId(value: string): string | undefined {
  return uuid.test(value) ? value.toLowerCase() : undefined;
}
