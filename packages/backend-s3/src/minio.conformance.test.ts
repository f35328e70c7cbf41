import { startS3 } from '@coffer/fixtures';
import { describeBackend } from '@coffer/storage-core/testing';
import { afterAll, describe, it } from 'vitest';

import { abilitiesOn, accountOn, ifAvailable, startOn } from './testing/server.ts';

// A server of its own: MinIO has one account, and the suite lists all of its buckets.
const server = await ifAvailable(startS3('minio', { own: true }));

describe.skipIf(typeof server === 'string')('where there is a MinIO', () => {
  afterAll(async () => {
    if (typeof server !== 'string') await server.stop();
  });
  for (const transport of ['lean', 'sdk'] as const) {
    describeBackend({ describe, it, after: afterAll }, `${typeof server === 'string' ? server : server.name}, ${transport} transport`, {
      abilities: { ...abilitiesOn(transport), acl: false },
      refusedKeys: (key) =>
        /\/\/|\\\.\.\\|__XLDIR__(?:\/|$)/.test(key) || key.split('/').some((segment) => Buffer.byteLength(segment) > 255),
      hidesKeysBelowObjects: true,
      async start() {
        if (typeof server === 'string') throw new Error(server);
        return startOn({ ...(await accountOn(server)), name: 'minio', transport });
      },
    });
  }
});
