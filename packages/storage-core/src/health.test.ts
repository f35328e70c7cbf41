import { beforeEach, describe, expect, it } from 'vitest';

import type { StorageBackend } from './backend.ts';
import { storageError } from './errors.ts';
import { wrapBackend } from './layers/wrap-backend.ts';
import { memoryBackend } from './memory-backend.ts';
import { StorageService } from './storage-service.ts';

let backend: StorageBackend;
let service: StorageService;
beforeEach(() => {
  backend = memoryBackend();
  service = new StorageService({ backend });
});

describe('life cycle and health', () => {
  it('starts only where the provider answers, and closes the backend', async () => {
    await service.startup();
    let closed = 0;
    const down: StorageBackend = {
      ...wrapBackend(backend),
      check: () => Promise.reject(storageError('connect_timeout', 'No answer from the store.')),
      close: async () => void closed++,
    };
    const broken = new StorageService({ backend: down });
    await expect(broken.startup()).rejects.toMatchObject({ code: 'connect_timeout' });
    await broken.shutdown();
    expect(closed).toBe(1);
  });

  it('reports health, never what the provider said', async () => {
    expect(await service.healthCheck()).toEqual({ healthy: true, backend: 'memory', latencyMs: expect.any(Number) as number });
    const report = async (error: unknown): Promise<readonly unknown[]> => {
      const failing = new StorageService({ backend: { ...wrapBackend(backend), check: () => Promise.reject(error) } });
      const { code, message } = await failing.healthCheck();
      return [code, message];
    };
    const refused = ['access_denied', 'The credentials are refused.'] as const;
    expect(await report(storageError(...refused))).toEqual(refused);
    const unknown = ['internal_error', 'The storage provider failed.'];
    expect(await report(new Error('connect ECONNREFUSED 10.0.0.7:9000 key AKIA123'))).toEqual(unknown);
    expect(await report('text')).toEqual(unknown);
  });

  it('counts a provider that hangs as down, and lets it know', async () => {
    let cancelled = false;
    const hanging: StorageBackend = {
      ...wrapBackend(backend),
      check: ({ signal }) => {
        signal?.addEventListener('abort', () => (cancelled = true));
        return new Promise(() => {});
      },
    };
    const report = await new StorageService({ backend: hanging, healthCheckTimeout: 0.02 }).healthCheck();
    expect(report).toMatchObject({ healthy: false, code: 'read_timeout', message: 'The storage provider did not answer within 0.02 s.' });
    expect(cancelled).toBe(true);
  });
});
