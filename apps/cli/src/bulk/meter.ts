import type { Follower } from './task.ts';

/** Reports the bytes of one task to a follower: how many there are, and how many have passed. */
export class Meter {
  readonly #follower: Pick<Follower<never>, 'sized' | 'moved'>;
  #size: number | undefined;
  #passed = 0;

  /** @param size in bytes, if the plan knows it */
  constructor(follower: Pick<Follower<never>, 'sized' | 'moved'>, size: number | undefined) {
    this.#follower = follower;
    this.#size = size;
  }

  get passed(): number {
    return this.#passed;
  }

  sized(bytes: number): void {
    if (bytes === this.#size) return;
    this.#follower.sized(bytes, this.#size);
    this.#size = bytes;
  }

  moved(bytes: number): void {
    this.#passed += bytes;
    this.#follower.moved(bytes);
  }

  /** Back to the beginning, for another attempt. */
  rewind(): void {
    this.moved(-this.#passed);
  }

  /** Bytes that have not passed, because the task was skipped or has failed, are no longer expected. */
  end(): void {
    this.sized(this.#passed);
  }
}
