import { hasCode, isStorageError, noContext, storageError } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';

import { unlessAborted } from './concurrency.ts';
import type { EndpointProfile } from './profile.ts';

/** Milliseconds in which credentials that may try out nothing in a bucket are not asked to do so again. */
const denialHolds = 60_000;
const mostDenials = 1000;

/** Of the endpoint, under way: in this bucket where none can be made for it. */
interface Trial {
  readonly bucket: string;
  readonly profile: Promise<EndpointProfile>;
}

/** What one backend has learned about the endpoint that it talks to. */
export class Endpoint {
  /** Whether answers to HeadBucket name the region, as far as is known. */
  tellsRegions = true;
  /** Whether ACLs name an owner, as far as is known. A server where they do not has no ACLs. */
  tellsOwners = true;
  readonly #probe: (bucket: string) => Promise<EndpointProfile>;
  readonly #denials = new Map<string, { readonly error: unknown; readonly until: number }>();
  #known: EndpointProfile | undefined;
  #trial: Trial | undefined;

  /** @param probe tries the endpoint out; `bucket` may serve where none can be made */
  constructor(known: EndpointProfile | undefined, probe: (bucket: string) => Promise<EndpointProfile>) {
    this.#known = known;
    this.#probe = probe;
  }

  /** What has been found out by now. */
  get known(): EndpointProfile | undefined {
    return this.#known;
  }

  /**
   * What the endpoint does: probed once, when something first depends on it. `bucket` may serve where none can be made. Who is
   * stopped does not wait for it. Rejects with access_denied where the credentials may not try it out, as is known for a minute then.
   */
  async profile(bucket: string, { signal }: CallContext = noContext): Promise<EndpointProfile> {
    signal?.throwIfAborted(); // nothing is tried out for who has gone
    return unlessAborted(this.#profile(bucket), signal);
  }

  /** The same, and undefined for those credentials: for what goes wrong on few servers, and is no reason to refuse what they may do. */
  async profileIfAllowed(bucket: string, ctx: CallContext): Promise<EndpointProfile | undefined> {
    try {
      return await this.profile(bucket, ctx);
    } catch (error) {
      if (hasCode(error, 'access_denied')) return undefined;
      throw error;
    }
  }

  async #profile(bucket: string): Promise<EndpointProfile> {
    while (this.#known === undefined && this.#trial !== undefined && this.#trial.bucket !== bucket) {
      try {
        return await this.#trial.profile;
      } catch (error) {
        // What is wrong with the bucket of somebody else tells nothing of this one, and is not for everybody.
        if (!isStorageError(error) || error.retryable) throw error;
      }
    }
    return this.#known ?? this.#trial?.profile ?? this.#begin(bucket);
  }

  #begin(bucket: string): Promise<EndpointProfile> {
    const denial = this.#denials.get(bucket);
    if (denial !== undefined && denial.until > performance.now()) return Promise.reject(denial.error as Error);
    // Everybody waits for this one probe; should it fail, the next one who needs it probes again.
    const probing = this.#probe(bucket).catch(untold);
    probing.then(
      (profile) => (this.#known = profile),
      (error: unknown) => {
        this.#trial = undefined;
        if (!hasCode(error, 'access_denied')) return;
        if (this.#denials.size >= mostDenials) this.#denials.clear();
        this.#denials.set(bucket, { error, until: performance.now() + denialHolds });
      },
    );
    this.#trial = { bucket, profile: probing };
    return probing;
  }
}

/** Whoever wanted something else is not to be told of a bucket that could not be made. */
function untold(error: unknown): never {
  if (!hasCode(error, 'access_denied')) throw error;
  const message =
    'This depends on how the storage provider behaves, which has to be tried out first; for that, the credentials must be allowed to create a bucket or to write here.';
  throw storageError('access_denied', message, { cause: error });
}
