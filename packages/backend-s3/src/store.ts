import type { InFlight } from '@coffer/storage-core';

import type { BackgroundCleanup } from './background-cleanup.ts';
import type { Driver } from './driver.ts';
import type { Endpoint } from './endpoint.ts';
import type { Connection } from './http/connection.ts';
import type { Settings } from './settings.ts';
import type { SlotHolder } from './slot-holders.ts';
import type { Slots } from './slots.ts';
import type { Tenants } from './tenants.ts';
import type { UploadMemory } from './upload/memory.ts';

/** What all operations of one backend share. */
export interface Store extends Driver {
  readonly settings: Settings;
  readonly connection: Connection;
  readonly endpoint: Endpoint;
  readonly memory: UploadMemory;
  /** The tenants that have read or written objects. */
  readonly tenants: Tenants;
  readonly cleanup: BackgroundCleanup;
  /**
   * Slots for open bodies, and for requests that keep the server busy. They leave some sockets to everything else, so that readers who go away
   * cannot block writers.
   */
  readonly downloads: Slots;
  /** Slots for requests that keep the server busy, which leave some of `downloads` to readers. */
  readonly bulk: Slots;
  /** Those of the open bodies whose connections may serve others while their readers want nothing. */
  readonly slotHolders: InFlight<SlotHolder>;
}
