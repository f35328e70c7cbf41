import { expect, it } from 'vitest';

import { openSession } from './open-session.ts';

const env = {
  STORAGE_BACKEND: 's3',
  STORAGE_S3_ENDPOINT: 'http://127.0.0.1:1',
  STORAGE_S3_ACCESS_KEY: 'access',
  STORAGE_S3_SECRET_KEY: 'hidden',
  STORAGE_BUCKET: 'bucket',
};

it.each([
  ['as many as are worked on at once', {}, 40, 40],
  ['no fewer than a server has', {}, 2, 10],
  ['those that the user has set, be they fewer', { STORAGE_MAX_POOL_CONNECTIONS: '3' }, 40, 3],
  ['those that the user has set, be they the usual number', { STORAGE_MAX_POOL_CONNECTIONS: '10' }, 40, 10],
])('a command has sockets to the provider: %s', async (_which, set, concurrency, expected) => {
  const { signal } = new AbortController();
  const session = await openSession({ ...env, ...set }, { signal, note() {}, concurrency });
  await session.close();
  expect(session.config.storage.maxPoolConnections).toBe(expected);
});
