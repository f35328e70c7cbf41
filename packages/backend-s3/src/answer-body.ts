import { Readable } from 'node:stream';

/** Where the bytes of a body come from. */
export interface BodySource {
  /** Whether more may come for now. */
  flow(isWanted: boolean): void;
  /** Nobody reads the rest. */
  leave(error: Error | undefined): void;
}

/** The body of an answer, while it arrives. */
export class AnswerBody extends Readable {
  /** Bytes so far. */
  received = 0;
  #source: BodySource | undefined;

  constructor(source: BodySource) {
    super();
    this.#source = source;
  }

  /** Bytes that its reader has. */
  get taken(): number {
    return this.received - this.readableLength;
  }

  /** @param piece is the reader's from now on */
  arrive(piece: Buffer): void {
    this.received += piece.length;
    if (!this.push(piece)) this.#source?.flow(false);
  }

  /** All of it has arrived: the source is there for others again. */
  complete(): void {
    this.#source = undefined;
    this.push(null);
  }

  override _read(): void {
    this.#source?.flow(true);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const source = this.#source;
    this.#source = undefined;
    source?.leave(error ?? undefined);
    callback(error);
  }
}
