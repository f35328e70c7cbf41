import { afterEach, expect, it } from 'vitest';

import { getStorageService, setStorageService } from './instance.ts';
import { memoryBackend } from './memory-backend.ts';
import { StorageService } from './storage-service.ts';

afterEach(() => setStorageService(undefined));

it('answers with the service that was set, until it is taken away', () => {
  const service = new StorageService({ backend: memoryBackend() });
  setStorageService(service);
  expect(getStorageService()).toBe(service);
  setStorageService(undefined);
  expect(() => getStorageService()).toThrowError(
    expect.objectContaining({ code: 'storage_not_configured', name: 'StorageNotConfiguredError' }),
  );
});
