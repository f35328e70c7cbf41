import type { ChunkSource } from './chunk-source.ts';

/** A source that reads into existing memory: no chunk is allocated only to be copied. */
export function directSource(read: (target: Buffer) => Promise<number>): ChunkSource {
  read(Buffer.alloc(0)).catch(() => {}); // starts reading before anybody else listens to the stream
  return {
    async next(maxBytes) {
      const chunk = Buffer.allocUnsafe(maxBytes);
      const bytes = await read(chunk);
      return bytes === 0 ? undefined : chunk.subarray(0, bytes);
    },
    async fill(target) {
      let end = 0;
      while (end < target.length) {
        const bytes = await read(end === 0 ? target : target.subarray(end));
        if (bytes === 0) break;
        end += bytes;
      }
      return end;
    },
  };
}
