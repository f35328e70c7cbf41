import type { Settings } from '../settings.ts';

/** Bounds what is remembered of them. */
const mostBuckets = 10_000;

/** What came with the bytes of a request. */
export interface SentWith {
  readonly isSigned: boolean;
  readonly hasMd5: boolean;
}

/** Whether the hash of a body is signed. It costs more than all else about a request, and few servers insist on it. */
export class PayloadSigning {
  #isRequired: boolean;
  readonly #summed = new Set<string>();

  constructor({ payloadSigning }: Pick<Settings, 'payloadSigning'>) {
    this.#isRequired = payloadSigning === 'always';
  }

  get isRequired(): boolean {
    return this.#isRequired;
  }

  /** Whether a bucket takes bytes only with a checksum of theirs, as those with object lock do. */
  wantsMd5(bucket: string | undefined): boolean {
    return this.#summed.size > 0 && bucket !== undefined && this.#summed.has(bucket);
  }

  /**
   * @param sent with the request: others may have learned of it meanwhile
   * @returns what is right now, for all that follows, so that the request may fare better
   */
  learn(bucket: string | undefined, sent: SentWith, error: { readonly name: string; readonly message: string }): string | undefined {
    const { name, message } = error;
    if (!sent.isSigned && (name === 'XAmzContentSHA256Mismatch' || /unsigned.payload|content-sha256/i.test(message))) {
      this.#isRequired = true;
      return 'payload';
    }
    if (bucket === undefined || sent.hasMd5 || !/content-md5/i.test(message) || !/required|missing/i.test(message)) return undefined;
    if (this.#summed.size >= mostBuckets) this.#summed.clear();
    this.#summed.add(bucket);
    return 'md5';
  }

  /** Sends what can be sent again, twice if need be. */
  async attempt<T>(bucket: string, send: () => Promise<T>): Promise<T> {
    const sent = { isSigned: this.#isRequired, hasMd5: this.wantsMd5(bucket) };
    try {
      return await send();
    } catch (error) {
      if (this.learn(bucket, sent, error as Error) === undefined) throw error;
      return await send();
    }
  }
}
