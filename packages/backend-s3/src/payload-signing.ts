import type { Settings } from './options.ts';

/** Whether the hash of a body is signed. It costs more than all else about a request, and few servers insist on it. */
export class PayloadSigning {
  #isRequired: boolean;

  constructor({ payloadSigning }: Pick<Settings, 'payloadSigning'>) {
    this.#isRequired = payloadSigning === 'always';
  }

  get isRequired(): boolean {
    return this.#isRequired;
  }

  /** @returns whether the request may fare better with its payload signed, as all will be from now on */
  learn({ name, message }: { readonly name: string; readonly message: string }): boolean {
    if (this.#isRequired || !(name === 'XAmzContentSHA256Mismatch' || /unsigned.payload|content-sha256/i.test(message))) return false;
    this.#isRequired = true;
    return true;
  }

  /** Sends what can be sent again, twice if need be. */
  async attempt<T>(send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (error) {
      if (!this.learn(error as Error)) throw error;
      return await send();
    }
  }
}
