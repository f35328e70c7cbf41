import { randomFillSync } from 'node:crypto';

/**
 * Makes UUIDs of version 7 whose order is that of their making, also within a millisecond and when the clock
 * is set back: the bits after the time start at random in every millisecond and then count.
 * @see RFC 9562, sections 5.7 and 6.2
 */
export function createIdGenerator(clock: () => number = Date.now): () => string {
  const bytes = Buffer.alloc(16);
  let last = 0;
  let counter = 0;
  return () => {
    const now = clock();
    randomFillSync(bytes, 6);
    if (now > last) {
      last = now;
      counter = bytes.readUInt16BE(6) & 0x7ff; // half of the range stays free for counting
    } else if (++counter > 0xfff) {
      last++; // 2,048 ids in a millisecond: borrow from the next one
      counter = 0;
    }
    bytes.writeUIntBE(last, 0, 6);
    bytes.writeUInt16BE(0x7000 | counter, 6);
    bytes.writeUInt8(0x80 | (bytes.readUInt8(8) & 0x3f), 8);
    const hex = bytes.toString('hex');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  };
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The id in lower case; undefined for what cannot be one. */
export function parseId(value: string): string | undefined {
  return uuid.test(value) ? value.toLowerCase() : undefined;
}
