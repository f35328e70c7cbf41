import { storageError } from './errors.ts';
import type { StorageService } from './storage-service.ts';

// Not a module variable: bundlers load this module more than once in a process (Next.js does, for start-up code and for routes), and so do
// two installed copies.
const slot = Symbol.for('@coffer/storage-service');
const holder = globalThis as { [slot]?: StorageService | undefined };

/** Makes `service` the one that `getStorageService()` returns; undefined removes it. */
export function setStorageService(service: StorageService | undefined): void {
  holder[slot] = service;
}

/** The process-wide service, for code that is not handed one. @throws storage_not_configured before it is set */
export function getStorageService(): StorageService {
  const service = holder[slot];
  if (service === undefined) {
    throw storageError('storage_not_configured', 'No storage service is set; call setStorageService() at start-up.');
  }
  return service;
}
