import { storageError } from './errors.ts';
import type { StorageService } from './storage-service.ts';

// Not a variable of this module: bundlers load it more than once in a process (Next.js does, for start-up code and for routes), and so
// do two installed copies.
const slot = Symbol.for('@coffer/storage-service');
const holder = globalThis as { [slot]?: StorageService | undefined };

/** Makes `service` the one that `getStorageService()` answers with; undefined takes it away. */
export function setStorageService(service: StorageService | undefined): void {
  holder[slot] = service;
}

/** The process-wide service, for code that nobody hands one to. @throws storage_not_configured before it is set */
export function getStorageService(): StorageService {
  const service = holder[slot];
  if (service === undefined) {
    throw storageError('storage_not_configured', 'No storage service is set; call setStorageService() at start-up.');
  }
  return service;
}
