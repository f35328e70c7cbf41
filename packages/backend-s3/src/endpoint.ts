import { hasCode, isStorageError, noContext, storageError, untilAborted } from '@coffer/storage-core';
import type { CallContext, StorageError } from '@coffer/storage-core';

import type { EndpointProfile } from './profile.ts';
import { isAboutAccount } from './provider-error.ts';

/** Milliseconds for which credentials that may not probe in a bucket are not used to try again. */
const denialTtl = 60_000;
const maxDenials = 1000;

/** A running probe of the endpoint. It works in `bucket` if it cannot create one. */
interface RunningProbe {
  readonly bucket: string;
  readonly profile: Promise<EndpointProfile>;
}

/** What one backend has learned about its endpoint. */
export class Endpoint {
  /** Whether HeadBucket answers name the region, as far as is known. */
  reportsRegions = true;
  /** Whether ACLs name an owner, as far as is known. A server whose ACLs do not has no ACLs. */
  reportsOwners = true;
  readonly #probe: (bucket: string) => Promise<EndpointProfile>;
  readonly #denials = new Map<string, { readonly error: unknown; readonly until: number }>();
  #known: EndpointProfile | undefined;
  #conditionalDelete: boolean | undefined;
  #running: RunningProbe | undefined;

  /** @param probe probes the endpoint, in `bucket` if it cannot create one */
  constructor(known: EndpointProfile | undefined, probe: (bucket: string) => Promise<EndpointProfile>) {
    this.#known = known;
    this.#probe = probe;
  }

  /** What has been found out so far. */
  get known(): EndpointProfile | undefined {
    return this.#known;
  }

  /** Whether DeleteObject enforces If-Match, as far as is known. */
  get conditionalDelete(): boolean | undefined {
    return this.#known?.conditionalDelete ?? this.#conditionalDelete;
  }

  /** The same, as a delete has shown. */
  set conditionalDelete(isEnforced: boolean) {
    this.#conditionalDelete = isEnforced;
  }

  /**
   * The endpoint's behaviour. It is probed once, when something first depends on it, in `bucket` if no other can be created. An aborted
   * caller stops waiting. Rejects with access_denied if the credentials may not probe, which is remembered for a minute, or are not valid.
   */
  async profile(bucket: string, { signal }: CallContext = noContext): Promise<EndpointProfile> {
    signal?.throwIfAborted(); // no probe for a caller who has left
    return untilAborted(this.#profile(bucket), signal);
  }

  /**
   * Like `profile`, but undefined for such credentials: for problems of few servers, which are no reason to refuse what the credentials may
   * do.
   */
  async profileIfAllowed(bucket: string, ctx: CallContext): Promise<EndpointProfile | undefined> {
    try {
      return await this.profile(bucket, ctx);
    } catch (error) {
      if (hasCode(error, 'access_denied')) return undefined;
      throw error;
    }
  }

  async #profile(bucket: string): Promise<EndpointProfile> {
    while (this.#known === undefined && this.#running !== undefined && this.#running.bucket !== bucket) {
      try {
        return await this.#running.profile;
      } catch (error) {
        // Problems with somebody else's bucket say nothing about this one, and must not be disclosed.
        if (!isStorageError(error) || error.retryable) throw error;
      }
    }
    return this.#known ?? this.#running?.profile ?? this.#startProbe(bucket);
  }

  #startProbe(bucket: string): Promise<EndpointProfile> {
    const denial = this.#denials.get(bucket);
    if (denial !== undefined && denial.until > performance.now()) return Promise.reject(denial.error as Error);
    // All callers wait for this one probe. If it fails, the next caller who needs it probes again.
    const probing = this.#probe(bucket).catch(withoutBucketDetails);
    probing.then(
      (profile) => (this.#known = profile),
      (error: unknown) => {
        this.#running = undefined;
        if (!lacksPermission(error)) return;
        if (this.#denials.size >= maxDenials) this.#denials.clear();
        this.#denials.set(bucket, { error, until: performance.now() + denialTtl });
      },
    );
    this.#running = { bucket, profile: probing };
    return probing;
  }
}

/** A caller who wanted something else must not be told about a bucket that could not be created. */
function withoutBucketDetails(error: unknown): never {
  if (!lacksPermission(error)) throw error;
  const message =
    'This depends on how the storage provider behaves, which has to be tried out first; for that, the credentials must be allowed to write and read objects, here or in a bucket that they may create.';
  throw storageError('access_denied', `${message} ${error.message}`, { cause: error }); // which names a permission, and no bucket
}

/** Otherwise these are credentials that somebody may be renewing, or the clock. */
function lacksPermission(error: unknown): error is StorageError {
  return hasCode(error, 'access_denied') && !isAboutAccount(error);
}
