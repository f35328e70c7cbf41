import { InFlight, noContext } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';

import { BackgroundCleanup } from './background-cleanup.ts';
import { Endpoint } from './endpoint.ts';
import { connect } from './http/connection.ts';
import { leanDriver } from './lean/driver.ts';
import type { S3BackendOptions } from './options.ts';
import { awsProfile } from './profile.ts';
import type { EndpointProfile } from './profile.ts';
import { sdkDriver } from './sdk/driver.ts';
import { settingsOf } from './settings.ts';
import { reclaimOne, reclaimSockets, smallPool } from './slot-holders.ts';
import type { SlotHolder } from './slot-holders.ts';
import { Slots } from './slots.ts';
import type { Store } from './store.ts';
import { Tenants } from './tenants.ts';
import { UploadMemory } from './upload/memory.ts';

/** Seconds. With many tenants, it is better that clients try again than that they wait for slow readers of other tenants. */
const multiTenantPatience = 10;

/** @param probing may end a probe of the endpoint early */
export function openStore(options: S3BackendOptions, known?: EndpointProfile, probing: CallContext = noContext): Store {
  const settings = settingsOf(options);
  const connection = connect(settings);
  const { maxPoolConnections: sockets, timeout: patience } = settings;
  const tenants = new Tenants();
  const slotHolders = new InFlight<SlotHolder>();
  if (sockets <= smallPool) reclaimSockets(connection.agent, () => void reclaimOne(slotHolders.values(), undefined));
  const store: Store = {
    settings,
    connection,
    tenants,
    ...(settings.transport === 'sdk' ? sdkDriver(settings, connection) : leanDriver(settings, connection)),
    // AWS is a single implementation with documented behaviour, and no place to create a bucket just for a moment.
    endpoint: new Endpoint(known ?? (settings.isAws ? awsProfile : undefined), async (bucket) =>
      (await import('./probe/probe.ts')).probe(store, bucket, probing),
    ),
    cleanup: new BackgroundCleanup(),
    memory: new UploadMemory({ capacity: settings.uploadMemory, partSize: settings.partSize, patience, tenants }),
    downloads: new Slots({
      capacity: Math.max(1, sockets - Math.max(1, Math.floor(sockets / 5))),
      patience,
      multiTenantPatience,
      resource: 'connections for downloads',
      tenants,
      reclaim: (tenant) => reclaimOne(slotHolders.values(), tenant),
    }),
    bulk: new Slots({
      capacity: Math.max(1, Math.floor(sockets / 2)),
      patience,
      resource: 'connections for large copies, deletions and conditional uploads',
      tenants,
    }),
    slotHolders,
  };
  return store;
}
