/** Where the bytes of a reader come from. Rejects with the error of whatever that is. */
export interface ChunkSource {
  /** What comes next, at most `most` bytes where that can be told; undefined at the end. */
  next(most: number): Promise<Buffer | undefined>;
  /** Fills `target` as far as there is something. @returns how many bytes: fewer than it holds at the end only */
  fill(target: Buffer): Promise<number>;
}
