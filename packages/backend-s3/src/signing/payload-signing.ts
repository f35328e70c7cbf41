import type { Settings } from '../settings.ts';

/** Limits how many buckets are remembered. */
const maxBuckets = 10_000;

/** What was sent with the bytes of a request. */
export interface SentWith {
  readonly isSigned: boolean;
  readonly hasMd5: boolean;
}

/** Whether the hash of a body is signed. Hashing costs more than everything else about a request, and few servers insist on it. */
export class PayloadSigning {
  #isRequired: boolean;
  readonly #md5Buckets = new Set<string>();

  constructor({ payloadSigning }: Pick<Settings, 'payloadSigning'>) {
    this.#isRequired = payloadSigning === 'always';
  }

  get isRequired(): boolean {
    return this.#isRequired;
  }

  /** Whether a bucket accepts bytes only with their checksum, as those with object lock do. */
  wantsMd5(bucket: string | undefined): boolean {
    return this.#md5Buckets.size > 0 && bucket !== undefined && this.#md5Buckets.has(bucket);
  }

  /**
   * @param sent what came with the request: others may have learned of the requirement meanwhile
   * @returns the name of the correction, which applies to all further requests and may make this one succeed; undefined if there is none
   */
  learn(bucket: string | undefined, sent: SentWith, error: { readonly name: string; readonly message: string }): string | undefined {
    const { name, message } = error;
    if (!sent.isSigned && (name === 'XAmzContentSHA256Mismatch' || /unsigned.payload|content-sha256/i.test(message))) {
      this.#isRequired = true;
      return 'payload';
    }
    if (bucket === undefined || sent.hasMd5 || !/content-md5/i.test(message) || !/required|missing/i.test(message)) return undefined;
    if (this.#md5Buckets.size >= maxBuckets) this.#md5Buckets.clear();
    this.#md5Buckets.add(bucket);
    return 'md5';
  }

  /** Calls `send`, whose bytes can be sent again, up to twice. */
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
