import { afterEach, expect, it, vi } from 'vitest';

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

it('is one in a process, however often this module is loaded', async () => {
  vi.resetModules();
  const again = await import('./instance.ts');
  expect(again.getStorageService).not.toBe(getStorageService);

  const service = new StorageService({ backend: memoryBackend() });
  setStorageService(service);
  expect(again.getStorageService()).toBe(service);
  again.setStorageService(undefined);
  expect(() => getStorageService()).toThrowError(expect.objectContaining({ code: 'storage_not_configured' }));
});
