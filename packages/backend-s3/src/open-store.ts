import { hasCode, InFlight, isStorageError, noContext, storageError } from '@coffer/storage-core';

import { connect } from './connection.ts';
import { leanDoor } from './lean-door.ts';
import { lendOne } from './lenders.ts';
import type { Lender } from './lenders.ts';
import { settingsOf } from './options.ts';
import type { S3BackendOptions } from './options.ts';
import { awsProfile } from './profile.ts';
import type { EndpointProfile } from './profile.ts';
import { unlessAborted } from './concurrency.ts';
import { sdkDoor } from './sdk-door.ts';
import { Slots } from './slots.ts';
import type { Store } from './store.ts';
import { Tenants } from './tenants.ts';
import { UploadMemory } from './upload-memory.ts';

/** Seconds. Where there are many tenants, clients come again rather than wait for slow readers of others. */
const briefly = 10;

/** Milliseconds in which credentials that may try out nothing in a bucket are not asked to do so again. */
const denialHolds = 60_000;
const mostDenials = 1000;

/** Of the endpoint, under way: in this bucket where none can be made for it. */
interface Trial {
  readonly bucket: string;
  readonly profile: Promise<EndpointProfile>;
}

export function openStore(options: S3BackendOptions, known?: EndpointProfile): Store {
  const settings = settingsOf(options);
  const connection = connect(settings);
  const { maxPoolConnections: sockets, timeout: patience } = settings;
  // One implementation, whose behaviour is documented; and a bucket there is nothing to make for a moment.
  let found = known ?? (settings.isAws ? awsProfile : undefined);
  let trial: Trial | undefined;
  const denials = new Map<string, { readonly error: unknown; readonly until: number }>();
  const tenants = new Tenants();
  const lenders = new InFlight<Lender>();
  const store: Store = {
    settings,
    connection,
    tenants,
    ...(settings.transport === 'sdk' ? sdkDoor(settings, connection) : leanDoor(settings, connection)),
    cleaning: new Set(),
    memory: new UploadMemory({ capacity: settings.uploadMemory, partSize: settings.partSize, patience, tenants }),
    downloads: new Slots({
      capacity: Math.max(1, sockets - Math.max(1, Math.floor(sockets / 5))),
      patience,
      brief: briefly,
      what: 'connections for downloads',
      tenants,
      lend: (tenant) => lendOne(lenders.values(), tenant),
    }),
    lenders,
    async profile(bucket, { signal } = noContext) {
      signal?.throwIfAborted(); // nothing is tried out for who has gone
      return unlessAborted(profileOf(bucket), signal);
    },
    async profileIfAllowed(bucket, ctx) {
      try {
        return await store.profile(bucket, ctx);
      } catch (error) {
        if (hasCode(error, 'access_denied')) return undefined;
        throw error;
      }
    },
    get known() {
      return found;
    },
  };
  const profileOf = async (bucket: string): Promise<EndpointProfile> => {
    while (found === undefined && trial !== undefined && trial.bucket !== bucket) {
      try {
        return await trial.profile;
      } catch (error) {
        // What is wrong with the bucket of somebody else tells nothing of this one, and is not for everybody.
        if (!isStorageError(error) || error.retryable) throw error;
      }
    }
    return found ?? trial?.profile ?? begin(bucket);
  };
  const begin = (bucket: string): Promise<EndpointProfile> => {
    const denial = denials.get(bucket);
    if (denial !== undefined && denial.until > performance.now()) return Promise.reject(denial.error as Error);
    // Everybody waits for this one probe; should it fail, the next one who needs it probes again.
    const probing = import('./probe.ts').then(({ probe }) => probe(store, bucket)).catch(untold);
    probing.then(
      (result) => (found = result),
      (error: unknown) => {
        trial = undefined;
        if (!hasCode(error, 'access_denied')) return;
        if (denials.size >= mostDenials) denials.clear();
        denials.set(bucket, { error, until: performance.now() + denialHolds });
      },
    );
    trial = { bucket, profile: probing };
    return probing;
  };
  return store;
}

/** Whoever wanted something else is not to be told of a bucket that could not be made. */
function untold(error: unknown): never {
  if (!hasCode(error, 'access_denied')) throw error;
  const message =
    'This depends on how the storage provider behaves, which has to be tried out first; for that, the credentials must be allowed to create a bucket or to write here.';
  throw storageError('access_denied', message, { cause: error });
}
