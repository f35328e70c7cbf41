import { isDate } from 'node:util/types';

import type { S3ClientConfig } from '@aws-sdk/client-s3';

import { proxiedAgent } from '../http/node-http.ts';
import { isNameless, keyErrors, statusOf } from '../provider-error.ts';
import type { Clock } from './clock.ts';
import type { Keys } from './signature.ts';

/** As the credential providers of the AWS SDK return them. */
export interface Identity extends Keys {
  readonly expiration?: Date;
}
type Provider = (options?: { readonly forceRefresh?: boolean }) => Promise<Identity>;

/** Milliseconds before their expiry at which keys are refreshed. */
const refreshMargin = 300_000;
/** Milliseconds between two attempts to replace keys that still work, whatever the clock is set to meanwhile. */
const refreshInterval = 30_000;

/** The keys in use: static ones, or those of a provider, which is asked again before they expire and when they are refused. */
export class Credentials {
  readonly #provide: Provider | undefined;
  #identity: Identity | undefined;
  readonly #clock: Clock;
  readonly #timeout: number;
  #loading: Promise<Identity> | undefined;
  #refreshAgainAt = 0;
  /** Until then, refusals that may mean something else do not make us ask the provider again. Set when other keys did not help. */
  #suspectAgainAt = 0;

  /** @param timeout seconds for a provider to answer */
  constructor(configured: S3ClientConfig['credentials'], clock: Clock, timeout = 60) {
    this.#clock = clock;
    this.#timeout = timeout * 1000;
    if (typeof configured === 'object') this.#identity = configured;
    else this.#provide = (configured as Provider | undefined) ?? defaultChain;
  }

  /** The keys; undefined if they have to be waited for. */
  get known(): Identity | undefined {
    const left = this.#remaining;
    return left > refreshMargin || (left > 0 && performance.now() < this.#refreshAgainAt) ? this.#identity : undefined;
  }

  async load(): Promise<Identity> {
    try {
      return await this.#load(false);
    } catch (error) {
      if (this.#identity !== undefined && this.#remaining > 0) return this.#identity;
      throw error;
    }
  }

  /** Seconds until the keys expire; infinite if they do not. */
  async secondsLeft(): Promise<number> {
    if (this.known === undefined) await this.load();
    return Math.floor(this.#remaining / 1000);
  }

  /** Call after a server has refused a request that was signed with `used`. @returns whether there are other keys now */
  async replace(used: Keys, refusal: Error): Promise<boolean> {
    if (this.#provide === undefined || !isAboutKeys(refusal)) return false;
    if (isSame(this.#identity, used)) {
      // Do not ask the provider at every refusal that may well mean something else.
      if (!keyErrors.has(refusal.name) && performance.now() < this.#suspectAgainAt) return false;
      await this.#load(true).catch(() => {});
    }
    if (!isSame(this.#identity, used)) return true;
    this.#suspectAgainAt = performance.now() + refreshInterval;
    return false;
  }

  /** Milliseconds until the keys expire. */
  get #remaining(): number {
    if (this.#identity === undefined) return 0;
    const { expiration } = this.#identity;
    return expiration === undefined ? Infinity : expiration.getTime() - this.#clock.now();
  }

  #load(forceRefresh: boolean): Promise<Identity> {
    this.#loading ??= this.#fetch(forceRefresh).finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  async #fetch(forceRefresh: boolean): Promise<Identity> {
    this.#refreshAgainAt = performance.now() + refreshInterval;
    const late = new Error('The provider of credentials did not answer in time.');
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(Object.assign(late, { name: 'CredentialsTimeoutError' })), this.#timeout);
    });
    try {
      const answer = this.#provide!(forceRefresh ? { forceRefresh } : undefined);
      const identity: Partial<Identity> | null | undefined = await Promise.race([answer, tooLate]);
      if (!identity?.accessKeyId || !identity.secretAccessKey) throw new Error('It gave no keys.');
      // Kept, they would fail every call, and their provider would never be asked again. With an invalid date, URLs would expire at no time.
      if (identity.expiration !== undefined && !isValidDate(identity.expiration))
        throw new Error('It gave keys whose expiration is no valid Date.');
      return (this.#identity = identity as Identity);
    } catch (error) {
      throw failureOf(error, this.#provide === defaultChain && this.#identity === undefined);
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * A provider's own failure, such as a refusal or a cut connection, would otherwise be taken for one of the storage provider.
 * @param mayBeNone whether there may be no keys at all
 */
function failureOf(error: unknown, mayBeNone: boolean): Error {
  const { name, message } = (error ?? {}) as Partial<Error>;
  if (name === 'CredentialsTimeoutError') return error as Error; // ours
  const isOfSdk = name === 'CredentialsProviderError';
  if (isOfSdk && message?.includes('aws sso login') === true)
    return Object.assign(new Error(message, { cause: error }), { name: 'SsoSessionEndedError' });
  // Providers of the SDK throw it both if they fail and if there is nothing where they look.
  if (isOfSdk && mayBeNone) return error as Error;
  return Object.assign(new Error(`The provider of credentials failed: ${message}`, { cause: error }), { name: 'CredentialsFailedError' });
}

function isValidDate(value: unknown): boolean {
  return isDate(value) && !Number.isNaN(value.getTime());
}

function isAboutKeys(refusal: Error): boolean {
  const status = statusOf(refusal);
  if (status !== 400 && status !== 401 && status !== 403) return false;
  return keyErrors.has(refusal.name) || refusal.name === 'SignatureDoesNotMatch' || isNameless(refusal.name);
}

function isSame(one: Keys | undefined, other: Keys): boolean {
  return one?.accessKeyId === other.accessKeyId && one.secretAccessKey === other.secretAccessKey && one.sessionToken === other.sessionToken;
}

/** Environment, files, roles; loaded only if needed. Files are read again, whoever has read them before. */
async function defaultChain(): Promise<Identity> {
  const { defaultProvider, NodeHttpHandler } = await import('./default-chain.ts');
  const httpsAgent = proxiedAgent();
  // Services that exchange tokens may be behind the proxy too. Those of the machine itself are asked directly, without TLS.
  const clientConfig = httpsAgent && { requestHandler: new NodeHttpHandler({ httpsAgent }) };
  try {
    return await defaultProvider({ ignoreCache: true, ...(clientConfig && { clientConfig }) })();
  } catch (error) {
    // The chain goes on after a source that fails as after one that is not there, and at its end tells neither.
    const source = (error as Error).message.includes('from any providers') ? await namedSource() : undefined;
    throw source === undefined ? error : new Error(`${source} names a source of keys, which gave none.`, { cause: error });
  }
}

/** What names a source of keys that the default chain only asks if it is named. */
async function namedSource(): Promise<string | undefined> {
  // oxlint-disable-next-line node/no-process-env -- variables of all tools for AWS
  const variable = ['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI', 'AWS_CONTAINER_CREDENTIALS_FULL_URI'].find((name) => process.env[name]);
  if (variable !== undefined) return variable;
  const { getProfileName, parseKnownFiles } = await import('./default-chain.ts');
  const profile = (await parseKnownFiles({ ignoreCache: true }))[getProfileName({})];
  // Whose keys take the role. Without a role, the chain passes them over.
  const ofRole = profile?.['role_arn'] === undefined ? [] : ['credential_source', 'source_profile'];
  return ['credential_process', ...ofRole].find((name) => profile?.[name] !== undefined);
}
