import { InFlight } from '@coffer/storage-core';

import { Cleaning } from './cleaning.ts';
import { Endpoint } from './endpoint.ts';
import { connect } from './http/connection.ts';
import { leanDoor } from './lean/door.ts';
import { lendOne } from './lenders.ts';
import type { Lender } from './lenders.ts';
import type { S3BackendOptions } from './options.ts';
import { awsProfile } from './profile.ts';
import type { EndpointProfile } from './profile.ts';
import { sdkDoor } from './sdk/door.ts';
import { settingsOf } from './settings.ts';
import { Slots } from './slots.ts';
import type { Store } from './store.ts';
import { Tenants } from './tenants.ts';
import { UploadMemory } from './upload/memory.ts';

/** Seconds. With many tenants, it is better that clients try again than that they wait for slow readers of other tenants. */
const briefly = 10;

export function openStore(options: S3BackendOptions, known?: EndpointProfile): Store {
  const settings = settingsOf(options);
  const connection = connect(settings);
  const { maxPoolConnections: sockets, timeout: patience } = settings;
  const tenants = new Tenants();
  const lenders = new InFlight<Lender>();
  const store: Store = {
    settings,
    connection,
    tenants,
    ...(settings.transport === 'sdk' ? sdkDoor(settings, connection) : leanDoor(settings, connection)),
    // AWS is a single implementation with documented behaviour, and no place to create a bucket just for a moment.
    endpoint: new Endpoint(known ?? (settings.isAws ? awsProfile : undefined), async (bucket) =>
      (await import('./probe/probe.ts')).probe(store, bucket),
    ),
    cleaning: new Cleaning(),
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
  };
  return store;
}
