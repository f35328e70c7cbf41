import { storageError } from './errors.ts';
import type { StorageService } from './storage-service.ts';

let instance: StorageService | undefined;

/** Makes `service` the one that `getStorageService()` answers with; undefined takes it away. */
export function setStorageService(service: StorageService | undefined): void {
  instance = service;
}

/** The process-wide service, for code that nobody hands one to. @throws storage_not_configured before it is set */
export function getStorageService(): StorageService {
  if (instance === undefined) {
    throw storageError('storage_not_configured', 'No storage service is set; call setStorageService() at start-up.');
  }
  return instance;
}
