import type { S3ClientConfig } from '@aws-sdk/client-s3';

import type { Keys } from './signature.ts';

/** As the providers of the AWS SDK give them. */
export interface Identity extends Keys {
  readonly expiration?: Date;
}
type Provider = (options?: { readonly forceRefresh?: boolean }) => Promise<Identity>;

/** How long before they expire keys are fetched anew. */
const early = 300_000;
/** Between two attempts to get better keys than those that still serve. */
const pause = 30_000;

/** The keys in use: given once, or of a provider that is asked again before they expire and when they are refused. */
export class Credentials {
  readonly #provide: Provider | undefined;
  #identity: Identity | undefined;
  #loading: Promise<Identity> | undefined;
  #askAgainAt = 0;

  constructor(given: S3ClientConfig['credentials']) {
    if (typeof given === 'object') this.#identity = given;
    else this.#provide = (given as Provider | undefined) ?? defaultChain;
  }

  /** Undefined when they have to be waited for. */
  get known(): Identity | undefined {
    const left = (this.#identity?.expiration?.getTime() ?? Infinity) - Date.now();
    return left > early || (left > 0 && Date.now() < this.#askAgainAt) ? this.#identity : undefined;
  }

  async load(): Promise<Identity> {
    try {
      return await this.#load(false);
    } catch (error) {
      const identity = this.#identity;
      if ((identity?.expiration?.getTime() ?? 0) > Date.now()) return identity!;
      throw error;
    }
  }

  /**
   * After a server has refused them. @returns whether there are others now
   * @param isCertain whether it said that it is the keys; a provider is not asked at every refusal that may mean something else
   */
  async replace(refused: Keys, isCertain: boolean): Promise<boolean> {
    if (this.#provide === undefined) return false;
    if (this.#identity === refused) {
      if (!isCertain && Date.now() < this.#askAgainAt) return false;
      await this.#load(true);
    }
    return !isSame(this.#identity, refused);
  }

  #load(forceRefresh: boolean): Promise<Identity> {
    this.#loading ??= this.#fetch(forceRefresh).finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  async #fetch(forceRefresh: boolean): Promise<Identity> {
    this.#askAgainAt = Date.now() + pause;
    return (this.#identity = await this.#provide!(forceRefresh ? { forceRefresh } : undefined));
  }
}

function isSame(one: Keys | undefined, other: Keys): boolean {
  return one?.accessKeyId === other.accessKeyId && one.secretAccessKey === other.secretAccessKey && one.sessionToken === other.sessionToken;
}

/** Environment, files, roles: loaded by those who need it. Files are read again, whoever has read them before. */
async function defaultChain(): Promise<Identity> {
  const { defaultProvider } = await import('@aws-sdk/credential-provider-node');
  return defaultProvider({ ignoreCache: true })();
}
