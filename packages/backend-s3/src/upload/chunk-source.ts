/** Where the bytes of a reader come from. Rejects with the error of that source. */
export interface ChunkSource {
  /** The next chunk, of at most `maxBytes` bytes if the source can limit it; undefined at the end. */
  next(maxBytes: number): Promise<Buffer | undefined>;
  /** Fills `target` as far as possible. @returns the number of bytes, which is less than its length only at the end */
  fill(target: Buffer): Promise<number>;
}
