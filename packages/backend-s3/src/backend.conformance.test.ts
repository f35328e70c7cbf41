import { startS3 } from '@coffer/fixtures';
import { describeBackend } from '@coffer/storage-core/testing';
import { afterAll, describe, it } from 'vitest';

import { abilitiesOn, accountOn, startOn } from './testing/server.ts';

const server = await startS3('ceph');

for (const transport of ['lean', 'sdk'] as const) {
  describeBackend({ describe, it, after: afterAll }, `${server.name}, ${transport} transport`, {
    abilities: abilitiesOn(transport),
    refusedAcls: ['aws-exec-read'],
    start: async () => startOn({ ...(await accountOn(server)), transport }),
  });
}
